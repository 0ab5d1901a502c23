"""Elasticsearch and OpenSearch over plain HTTP: names of indices, layouts of fields, dialects of paging."""
