"""Numbers as a page writes them. Pure."""

from __future__ import annotations

import time


def seconds(value: float | None) -> str:
    """`0.04 s`, `3.2 s`, `2:05 min`, `1:02:05 h`."""
    if value is None:
        return ""
    if value < 0.9995:
        return f"{value * 1000:.3g} ms" if value else "0 s"
    if value < 59.95:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes}:{rest:02d} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d} h"


def size(value: float | None) -> str:
    """`12 kB`, `1.3 GB`."""
    if value is None:
        return ""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 999.5 or unit == "TB":
            break
        value /= 1000
    return f"{value:.3g} {unit}"


def energy(kwh: float | None) -> str:
    """`12 J`, `3.2 Wh`, `1.5 kWh`."""
    if kwh is None:
        return ""
    joules = kwh * 3_600_000
    if joules < 3_600:
        return f"{joules:.3g} J"
    return f"{kwh * 1000:.3g} Wh" if kwh < 1 else f"{kwh:.4g} kWh"


def mass(grams: float | None) -> str:
    """`3.1 µg`, `12 mg`, `50 g`, `1.2 kg`, of CO2 equivalent."""
    if grams is None:
        return ""
    if grams < 0.001:
        return f"{grams * 1e6:.3g} µg"
    if grams < 1:
        return f"{grams * 1000:.3g} mg"
    return f"{grams:.3g} g" if grams < 1000 else f"{grams / 1000:.4g} kg"


def number(value: float) -> str:
    """`12,345`."""
    return f"{value:,}"


def moment(value: float | None) -> str:
    """Local date and time, with the zone."""
    return "" if value is None else time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(value))
