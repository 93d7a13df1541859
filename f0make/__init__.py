"""f0make: an incremental, crash-safe make for data and science."""

__version__ = "0.1.0"
