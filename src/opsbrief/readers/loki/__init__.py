"""Counting and sampling the lines of a Loki, and reading them. Pure."""
