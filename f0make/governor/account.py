"""The energy of one run: measured as a whole, charged to its instances, the rest is overhead."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from f0make.governor.attribute import Ledger
from f0make.governor.energy_model import JOULES_PER_KWH, PowerModel

if TYPE_CHECKING:
    from f0make.governor.energy_meter import Meter

READ_EVERY = 0.02
"""Least seconds between two readings of the meter: a hundred short steps a second need no more."""
LATEST = 10.0
"""Seconds after which the meter is read at the latest: a counter wraps around in minutes."""


class Account:
    """What a run has taken so far. ``intensity``: g CO2 equivalent for a kWh of ``country``'s electricity.

    ``patient``: energy is only kept inside a budget; CodeCarbon, which costs a second of CPU to import, is for runs
    that last.
    """

    def __init__(
        self,
        model: PowerModel,
        intensity: float,
        country: str | None,
        clock: Callable[[], float] = time.monotonic,
        patient: bool = False,
    ) -> None:
        self.model = model
        self.intensity = intensity
        self._country = country
        self._clock = clock
        self._patient = patient
        self._meter: Meter | None = None
        self._ledger = Ledger(model.idle_watts)
        self._last_read = float("-inf")
        self._steps_cpu = 0.0
        self._own = _own_cpu()
        self._closed = False

    def open(self) -> None:
        """Something really runs: begin to measure."""
        if self._meter is None:
            from f0make.governor.choose_meter import choose
            from f0make.governor.energy_meter import LASTS

            delay = LASTS if self._patient else 0.0
            self._meter = choose(self.model, self._busy, self.intensity, self._country, delay)
            self._read()

    @property
    def running(self) -> bool:
        """Whether anything is measured."""
        return self._meter is not None and not self._closed

    @property
    def live(self) -> bool:
        """Whether a counter shows what running steps take before they end."""
        return self._meter is not None and self._meter.live

    @property
    def kwh(self) -> float:
        """Kilowatt hours so far."""
        return self._ledger.total / JOULES_PER_KWH

    def refresh(self, every: float = READ_EVERY) -> None:
        """Read the meter, unless that was done in the last ``every`` seconds."""
        if self.running and self._clock() - self._last_read >= every:
            self._read()

    def charge(self, began: float, cpu_seconds: float) -> dict[str, Any]:
        """Energy, carbon and the method for an attempt that spent ``cpu_seconds`` from ``began`` until now."""
        self._steps_cpu += cpu_seconds
        if self._meter is None:
            return {}
        # A counter has the work of steps that end together in one reading. The model has it when it is told of it:
        # without a reading the second of them would be charged with what was measured before it was known.
        self.refresh(READ_EVERY if self.live else 0.0)
        kwh = self._ledger.charge(began, self._clock(), cpu_seconds) / JOULES_PER_KWH
        return {"energy_kwh": kwh, "carbon_g": kwh * self.intensity, "energy_method": self._meter.method}

    def waive(self, cost: Mapping[str, Any]) -> None:
        """The attempt that was charged ``cost`` was not the last one of its instance: its energy is overhead."""
        self._ledger.charged -= cost.get("energy_kwh", 0.0) * JOULES_PER_KWH

    def close(self) -> list[str]:
        """No step runs any more: the last reading. Why counters were given up on the way, for a person."""
        if not self.running or self._meter is None:
            return []
        self._closed = True
        self._ledger.reading(*self._meter.stop())
        return self._meter.ended

    def so_far(self, cores: float) -> dict[str, float | None]:
        """Watts with ``cores`` in use, and kWh of the run so far; None while nothing is metered.

        The watts are the model's: what f0make's own part of a measured machine is, no counter tells.
        """
        if self._meter is None:
            return {"power_w": None, "energy_kwh": None}
        return {"power_w": self.model.joules(1.0, cores), "energy_kwh": self.kwh}

    def fields(self) -> dict[str, Any]:
        """What the summary says of energy."""
        return {
            "energy_kwh": self.kwh,
            "carbon_g": self.kwh * self.intensity,
            "energy_overhead_kwh": self._ledger.overhead / JOULES_PER_KWH,
            "energy_method": self._meter.method if self._meter is not None else "nothing ran",
            "carbon_intensity": self.intensity,
        }

    def _read(self) -> None:
        if self._meter is not None:
            self._last_read = self._clock()
            self._ledger.reading(*self._meter.read())

    def _busy(self) -> float:
        """CPU seconds of f0make and its steps so far, as far as they are known yet."""
        own, below = _own_cpu()
        known = own - self._own[0] + self._steps_cpu
        if self._closed:
            return max(known, own - self._own[0] + below - self._own[1])
        return known


def _own_cpu() -> tuple[float, float]:
    """CPU seconds of this process, and of its children that are gone."""
    times = os.times()
    return times.user + times.system, times.children_user + times.children_system
