"""The energy counters of the CPU packages that Linux shows under /sys/class/powercap (kernel: powercap.rst)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from f0make.fast_dataclass import dataclass

POWERCAP = "/sys/class/powercap"
_MOST_WATTS = 2_000.0
"""No package takes more: what would mean more than that for the time passed (and one second) is no wrap-around."""


@dataclass(slots=True)
class _Zone:
    path: str
    range_uj: int
    last: int


class Rapl:
    """Sums the packages' `energy_uj` from the moment it is made; ``root`` is /sys/class/powercap.

    A counter wraps around at `max_energy_range_uj`. One that goes back, and would have taken more energy since the
    last reading than a package can, was reset (a suspend, a driver that was loaded anew): that interval is not
    counted. One that disappears keeps what it had. Raises OSError when no counter can be read at all (no such hardware, or no permission).
    """

    method = "RAPL"

    def __init__(self, root: str = POWERCAP, clock: Callable[[], float] = time.monotonic) -> None:
        self._zones: list[_Zone] = []
        self._joules = 0.0
        self._clock = clock
        self._read = clock()
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
        before, self._read = self._read, self._clock()
        most = _MOST_WATTS * (self._read - before + 1.0) * 1e6
        for zone in list(self._zones):
            try:
                now = self._counter(zone)
            except (OSError, ValueError):
                self._zones.remove(zone)
                continue
            step = now - zone.last
            if step < 0:
                step += zone.range_uj
                step = step if step <= most else 0
            self._joules += max(0, step) / 1e6
            zone.last = now
        return self._joules

    @property
    def failed(self) -> str:
        """Why it counts nothing any more; empty while any counter can be read."""
        return "" if self._zones else "the energy counters are gone"

    def stop(self) -> None:
        """Nothing is left open."""

    @staticmethod
    def _counter(zone: _Zone) -> int:
        return int(_text(os.path.join(zone.path, "energy_uj")))


def _text(path: str) -> str:
    with open(path, encoding="ascii", errors="replace") as file:
        return file.read().strip()
