"""One module for each verb; each has `main(name, options, extras)`, which returns the exit code."""
