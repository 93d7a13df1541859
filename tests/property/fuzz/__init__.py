"""Fuzzers: one for each parser of what others wrote. `make fuzz` runs them for long, `make test` for some seconds."""
