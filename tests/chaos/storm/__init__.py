"""A storm of `kill -9`: runs are killed at random moments, and the next one must be right.

`python -m tests.chaos.storm 200` runs 200 rounds, `--seed N` repeats them.
"""
