"""Tests, in rooms: CONTRIBUTING.md says which test belongs where."""
