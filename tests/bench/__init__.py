"""Whether the benchmarks themselves still run."""
