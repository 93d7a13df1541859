"""Measurements against peers, in one run, as ratios: `make bench`. Each timed run is checked for its work."""
