"""Watching which files a step opens, makes or changes (`--strict`, `--audit`): Linux, seccomp user notification."""
