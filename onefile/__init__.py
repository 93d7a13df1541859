"""Builds the zipapp: `make zipapp`."""
