"""Chaos among hosts: connections are cut and stalled, servers, agents and f0make itself killed, and all must come right.

`python -m tests.chaos.hosts 100` runs 100 rounds, `--seed N` repeats them.
"""
