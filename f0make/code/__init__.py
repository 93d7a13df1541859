"""What can be known of a python step's code without importing it: where it lies, its digest, its arguments."""
