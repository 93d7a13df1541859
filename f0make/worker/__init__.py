"""Running bundles on a backend."""
