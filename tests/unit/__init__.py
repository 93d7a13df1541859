"""Examples for one part of f0make, called from Python."""
