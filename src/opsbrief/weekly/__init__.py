"""The digest of a week over many services: one job a service, on local workers or a Dask cluster."""
