"""Where bundles run: what every backend offers (`base`), and the backends."""
