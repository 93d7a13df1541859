"""The agent on a host: receives bundles, runs them, sends what they made. Standard library only, Python 3.9."""
