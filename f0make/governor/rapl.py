"""The energy counters of the CPU packages that Linux shows under /sys/class/powercap (kernel: powercap.rst)."""

from __future__ import annotations

import os
from dataclasses import dataclass

POWERCAP = "/sys/class/powercap"
_WIDEST_STEP = 0.5
"""Most of a counter's range that a wrap-around may look like; a larger step back is a counter that was reset."""


@dataclass(slots=True)
class _Zone:
    path: str
    range_uj: int
    last: int


class Rapl:
    """Sums the packages' `energy_uj` from the moment it is made; ``root`` is /sys/class/powercap.

    A counter wraps around at `max_energy_range_uj`. One that goes back by less than half its range was reset
    (a suspend, a driver that was loaded anew): that interval is not counted. One that disappears keeps what it
    had. Raises OSError when no counter can be read at all (no such hardware, or no permission).
    """

    def __init__(self, root: str = POWERCAP) -> None:
        self._zones: list[_Zone] = []
        self._joules = 0.0
        refused: OSError | None = None
        for name in sorted(os.listdir(root)):
            # Packages only: "intel-rapl:0" and, on AMD too, no sub-zones ("intel-rapl:0:0"), which they contain.
            kind, _, number = name.partition(":")
            if kind != "intel-rapl" or not number.isdigit():
                continue
            path = os.path.join(root, name)
            try:
                if not _text(os.path.join(path, "name")).startswith("package"):
                    continue  # psys contains the packages.
                zone = _Zone(path, int(_text(os.path.join(path, "max_energy_range_uj"))), 0)
                zone.last = self._counter(zone)
            except ValueError:
                continue
            except OSError as error:
                refused = error
                continue
            self._zones.append(zone)
        if not self._zones:
            raise refused or FileNotFoundError(2, "no energy counter", root)

    def joules(self) -> float:
        """Joules since this object was made; never goes back."""
        for zone in list(self._zones):
            try:
                now = self._counter(zone)
            except (OSError, ValueError):
                self._zones.remove(zone)
                continue
            step = now - zone.last
            if step < 0:
                step = step + zone.range_uj if -step > _WIDEST_STEP * zone.range_uj else 0
            self._joules += max(0, step) / 1e6
            zone.last = now
        return self._joules

    @property
    def alive(self) -> bool:
        """Whether any counter can still be read."""
        return bool(self._zones)

    @staticmethod
    def _counter(zone: _Zone) -> int:
        return int(_text(os.path.join(zone.path, "energy_uj")))


def _text(path: str) -> str:
    with open(path, encoding="ascii", errors="replace") as file:
        return file.read().strip()
