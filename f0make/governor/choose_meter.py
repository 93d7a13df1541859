"""Which meter a run gets: CodeCarbon over a hardware counter where there is one, else the counter itself, else the model."""

from __future__ import annotations

from collections.abc import Callable

from f0make.governor.codecarbon_meter import Tracker, counters, installed
from f0make.governor.energy_meter import Meter, Source
from f0make.governor.energy_model import PowerModel
from f0make.governor.machine_state import busy
from f0make.governor.rapl import Rapl


def choose(
    model: PowerModel,
    own_busy: Callable[[], float],
    intensity: float,
    country: str | None,
    delay: float = 0.0,
) -> Meter:
    """The best meter here, started; CodeCarbon is imported after ``delay`` seconds."""

    def codecarbon() -> Source:
        found = counters()
        if not (found and installed()):
            raise FileNotFoundError("CodeCarbon, or a counter for it")
        # Until CodeCarbon is ready what is next best counts.
        meanwhile = Meter(model, own_busy, busy, [Rapl])
        tracker = Tracker(intensity, country, meanwhile, ", ".join(found), delay=delay)
        tracker.start()
        return tracker

    return Meter(model, own_busy, busy, [codecarbon, Rapl])
