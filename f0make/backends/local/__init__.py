"""Bundles run on this machine, in workers of loky or, shell steps, in forked ones."""
