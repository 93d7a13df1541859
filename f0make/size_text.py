"""Numbers of bytes as people read them."""

from __future__ import annotations


def size_text(size: float) -> str:
    """``size`` bytes to four digits, as `recipe.scalars.to_size` reads it: `8B`, `8GB`, `1.074GB`."""
    units = ("B", "kB", "MB", "GB", "TB", "PB")
    power = 0
    while size >= 999.95 and power + 1 < len(units):
        size, power = size / 1000, power + 1
    return f"{size:.4g}{units[power]}"
