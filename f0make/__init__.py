"""f0make: an incremental, crash-safe make for data and science."""

from __future__ import annotations  # read by Python 3.9 on other hosts, too

__version__ = "0.1.0"

unpacked: str | None = None
"""The directory of f0make's packages when this is the zipapp; nothing but its own processes shall find them."""

STATE = ".f0make"
"""The directory of a workspace in which f0make keeps everything that it knows."""
