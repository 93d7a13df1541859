"""Splitting what was measured: instances by their CPU share, the rest is overhead; the parts are the whole. Pure.

A meter gives readings (time, joules, busy CPU seconds), all growing. The energy of a window that is not the
idle power's is shared among the CPU seconds that were spent in it. What is charged never exceeds what was
measured, so that

    instances + overhead = measured

where the overhead is the idle power, f0make itself, and everything else that the machine did.
"""

from __future__ import annotations

from bisect import bisect_left

from f0make.fast_dataclass import dataclass, field

IDLE_SHARE = 0.5
"""Most of a measured window that may count as idle: a modelled idle power must not swallow the work."""
SHORTEST = 1.0
"""Seconds of the shortest window that a rate is taken from: counters tick in milliseconds, CPU time in 10 ms."""


@dataclass(slots=True)
class Ledger:
    """Readings so far, and what was charged to instances."""

    idle_watts: float
    _at: list[float] = field(default_factory=list)
    _joules: list[float] = field(default_factory=list)
    _busy: list[float] = field(default_factory=list)
    charged: float = 0.0
    """Joules attributed to instances."""

    def reading(self, at: float, joules: float, busy: float) -> None:
        """The meter stands at ``joules`` and ``busy`` CPU seconds at time ``at``; none of them goes back."""
        if self._at:
            at = max(at, self._at[-1])
            joules = max(joules, self._joules[-1])
            busy = max(busy, self._busy[-1])
            if at == self._at[-1]:
                self._joules[-1], self._busy[-1] = joules, busy
                return
        self._at.append(at)
        self._joules.append(joules)
        self._busy.append(busy)

    @property
    def total(self) -> float:
        """Joules measured so far."""
        return self._joules[-1] - self._joules[0] if self._joules else 0.0

    @property
    def overhead(self) -> float:
        """Joules measured that no instance was charged with."""
        return self.total - self.charged

    def charge(self, began: float, ended: float, cpu_seconds: float) -> float:
        """Joules of an instance that spent ``cpu_seconds`` between ``began`` and ``ended``; booked as charged."""
        # Sums of floats: a share of nothing may come out a hair below zero.
        joules = max(0.0, min(self._share(began, ended, cpu_seconds), self.overhead))
        self.charged += joules
        return joules

    def _share(self, began: float, ended: float, cpu_seconds: float) -> float:
        if len(self._at) < 2 or cpu_seconds <= 0:
            return 0.0
        began = max(self._at[0], min(began, ended - SHORTEST))
        joules = self._value(self._joules, ended) - self._value(self._joules, began)
        busy = self._value(self._busy, ended) - self._value(self._busy, began)
        idle = min(self.idle_watts * (ended - began), IDLE_SHARE * joules)
        return (joules - idle) * cpu_seconds / max(busy, cpu_seconds)

    def _value(self, row: list[float], at: float) -> float:
        place = bisect_left(self._at, at)
        if place == 0:
            return row[0]
        if place == len(row):
            return row[-1]
        before, after = self._at[place - 1], self._at[place]
        return row[place - 1] + (row[place] - row[place - 1]) * (at - before) / (after - before)
