"""Where energy numbers come from: CodeCarbon over a hardware counter, the counter itself, or the model."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from f0make.governor.energy_model import PowerModel

LASTS = 10.0
"""Seconds after which a run is worth importing CodeCarbon for, when all that was asked for is a budget."""


class Source(Protocol):
    """Something that counts joules."""

    @property
    def method(self) -> str:
        """What it counts with, as it is reported."""
        ...

    @property
    def failed(self) -> str:
        """Why it counts no more; empty while it does."""
        ...

    def joules(self) -> float:
        """Joules since it was opened; never goes back."""
        ...

    def stop(self) -> None:
        """Count for the last time."""
        ...


class Meter:
    """Joules of the run so far and how they were found.

    ``sources`` open counters, best first, and raise OSError where there is none; when one fails the next goes on
    from there, and after the last the model does. ``own_busy`` and ``machine_busy`` give CPU seconds: the energy of
    a counter, which measures the whole machine, was spent on the machine's, the model's on f0make's own.
    """

    def __init__(
        self,
        model: PowerModel,
        own_busy: Callable[[], float],
        machine_busy: Callable[[], float | None],
        sources: Sequence[Callable[[], Source]] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.model = model
        self._own = own_busy
        self._machine = machine_busy
        self._clock = clock
        self._sources = list(sources)
        self._source: Source | None = None
        self._machine_before = machine_busy() or 0.0
        self._past = 0.0
        """Joules of what counted before."""
        self._methods: list[str] = []
        """Of what counted before."""
        self.ended: list[str] = []
        """Why counters were given up."""
        self._next()

    @property
    def method(self) -> str:
        """What counted, in that order."""
        source = self._source
        now = source.method if source is not None else f"model ({self.model.source})"
        return ", then ".join(dict.fromkeys([*self._methods, now]))

    @property
    def live(self) -> bool:
        """Whether a counter counts, not the model."""
        return self._source is not None

    def read(self) -> tuple[float, float, float]:
        """(time, joules, busy CPU seconds), each since the start but the time, which is the clock's."""
        while self._source is not None:
            joules = self._source.joules()
            why = self._source.failed
            if not why:
                machine = self._machine()
                own = self._own()
                busy = own if machine is None else max(own, machine - self._machine_before)
                return self._clock(), self._past + joules, busy
            self.ended.append(why)
            self._past += joules
            self._methods.append(self._source.method)
            self._next()
        now, own = self._clock(), self._own()
        return now, self._past + self.model.joules(now - self._since, own - self._own_before), own

    def _next(self) -> None:
        """What counts from now on."""
        self._source = None
        while self._source is None and self._sources:
            try:
                self._source = self._sources.pop(0)()
            except OSError:
                continue
        self._since, self._own_before = self._clock(), self._own()

    def stop(self) -> tuple[float, float, float]:
        """The last reading."""
        if self._source is not None:
            self._source.stop()
        return self.read()
