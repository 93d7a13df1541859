"""Where bundles run: this machine, hosts over SSH, clusters."""
