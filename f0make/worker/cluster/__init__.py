"""Inside a worker of a cluster: bundles run in a process below it. Standard library only, Python 3.9."""
