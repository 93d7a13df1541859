"""f0make: an incremental, crash-safe make for data and science."""

__version__ = "0.1.0"

unpacked: str | None = None
"""The directory of f0make's packages when this is the zipapp; nothing but its own processes shall find them."""
