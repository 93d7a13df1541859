"""Where energy numbers come from: CodeCarbon over a hardware counter, the counter itself, or the model."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from f0make.governor.model import PowerModel


class Source(Protocol):
    """Something that counts joules."""

    def joules(self) -> float:
        """Joules since it was started; never goes back."""
        ...


class Meter:
    """Joules of the run so far and how they were found.

    ``busy`` gives the CPU seconds that the energy was spent on: of the whole machine for a counter, which
    measures the whole machine, of f0make and its steps for the model.
    """

    def __init__(
        self,
        model: PowerModel,
        own_busy: Callable[[], float],
        machine_busy: Callable[[], float | None],
        *,
        counter: Source | None = None,
        method: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.model = model
        self._own = own_busy
        self._counter = counter
        self._machine = machine_busy
        self._clock = clock
        self._began = clock()
        self._before = machine_busy() or 0.0
        self._extra = 0.0
        """Joules of a counter that is gone."""
        self._own_before = own_busy()
        self.method = method or f"model ({model.source})"
        self.ended = ""
        """Why the counter was given up; empty as long as it works."""

    def read(self) -> tuple[float, float, float]:
        """(time, joules, busy CPU seconds), each since the start but the time, which is the clock's."""
        now = self._clock()
        counter = self._counter
        if counter is not None:
            joules = counter.joules()
            gone = getattr(counter, "failed", "") or ("" if getattr(counter, "alive", True) else "it is gone")
            if gone:
                self._give_up(gone, joules, now)
            else:
                machine = self._machine()
                busy = machine - self._before if machine is not None else self._own()
                return now, joules, max(busy, self._own())
        own = self._own()
        return now, self._extra + self.model.joules(now - self._began, own - self._own_before), own

    def _give_up(self, why: str, joules: float, now: float) -> None:
        """The counter is of no use any more: what it measured stays, the model goes on from here."""
        self._counter, self.ended = None, why
        self._extra, self._own_before, self._began = joules, self._own(), now
        self.method += f", then model ({self.model.source})"

    def stop(self) -> tuple[float, float, float]:
        """The last reading."""
        stop: Any = getattr(self._counter, "stop", None)
        if stop is not None:
            stop()
        return self.read()


def choose(model: PowerModel, own_busy: Callable[[], float], intensity: float, country: str | None) -> Meter:
    """The best meter here, started."""
    from f0make.governor.measure import machine_busy
    from f0make.governor.rapl import Rapl
    from f0make.governor.tracker import Tracker, counters, installed

    found = counters()
    if found and installed():
        tracker = Tracker(intensity, country)
        tracker.start()
        return Meter(
            model, own_busy, machine_busy, counter=tracker, method=f"CodeCarbon ({', '.join(found)})"
        )
    try:
        return Meter(model, own_busy, machine_busy, counter=Rapl(), method="RAPL")
    except OSError:
        return Meter(model, own_busy, machine_busy)
