"""Two reporters told the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from f0make.options import Event, Known, Reporter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Both:
    """Passes everything on to ``first`` and then to ``second``."""

    def __init__(self, first: Reporter, second: Reporter) -> None:
        self._first = first
        self._second = second

    def watch(self, monitor: Callable[[], Mapping[str, Any]]) -> None:
        """``monitor`` tells what the run uses."""
        self._first.watch(monitor)
        self._second.watch(monitor)

    def start(self, event: Event) -> None:
        """The run begins."""
        self._first.start(event)
        self._second.start(event)

    def running(self, instance: str, attempt: int, host: str) -> None:
        """An attempt was handed to the backend."""
        self._first.running(instance, attempt, host)
        self._second.running(instance, attempt, host)

    def step(self, event: Event) -> None:
        """An instance's state is decided."""
        self._first.step(event)
        self._second.step(event)

    def known(self, rest: Known) -> None:
        """What nothing has changed for."""
        self._first.known(rest)
        self._second.known(rest)

    def host(self, event: Event) -> None:
        """Something has become of a host."""
        self._first.host(event)
        self._second.host(event)

    def output(self, instance: str, log: str, failed: bool) -> None:
        """An ended attempt left a log."""
        self._first.output(instance, log, failed)
        self._second.output(instance, log, failed)

    def note(self, text: str) -> None:
        """Something a person should know."""
        self._first.note(text)
        self._second.note(text)

    def summary(self, event: Event) -> None:
        """The run is over."""
        self._first.summary(event)
        self._second.summary(event)

    def stop(self) -> None:
        """Nothing more will be told."""
        self._first.stop()
        self._second.stop()
