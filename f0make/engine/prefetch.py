"""Which instances are so short that one may be handed to the backend before a slot is free for it.

That keeps the slots busy while f0make writes down what the last steps made. A longer one could get in the way
of something more urgent that becomes ready meanwhile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from f0make.model import Instance

SHORT = 0.05
"""Seconds; what an urgent instance may be delayed by."""
_LAST = 8
"""Outcomes in a row that speak for an instance of which nothing is known."""


class Prefetch:
    """How long instances take, as far as this run has seen; ``recorded`` tells the last duration by the name."""

    def __init__(self, recorded: Callable[[str], float | None]) -> None:
        self._recorded = recorded
        self._steps: dict[str, float] = {}
        self._last: deque[float] = deque(maxlen=_LAST)

    def learn(self, instance: Instance, seconds: float) -> None:
        """``instance`` has taken ``seconds``."""
        name = instance.step.name
        self._steps[name] = max(seconds, 0.5 * self._steps.get(name, 0.0))
        self._last.append(seconds)

    def may_wait(self, instance: Instance) -> bool:
        """Whether ``instance`` is known, or most likely, to be short, and nothing after it can make it fail."""
        if instance.depfile or instance.step.success.ctx_has_keys:
            return False
        seconds = self._recorded(instance.name)
        if seconds is None:
            seconds = self._steps.get(instance.step.name)
        if seconds is None:
            seconds = max(self._last) if len(self._last) == _LAST else SHORT
        return seconds < SHORT
