"""Steps in the workers of a cluster that people already run: Dask and Ray."""
