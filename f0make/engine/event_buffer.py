"""Events wait here until what they tell of is on disk."""

from __future__ import annotations

from f0make.engine.node_state import State
from f0make.errors import NO_ROOM
from f0make.options import Event, Reporter
from f0make.store.record_store import Store
from f0make.worker.bundle import Outcome


def failure(reason: str, outcome: Outcome | None, here: str = "") -> Event:
    """What the history keeps of an instance that failed: no record tells of it. ``here`` is as in `EventBuffer`."""
    about: Event = {"reason": reason}
    if outcome is not None:
        about.update(started=outcome.started, seconds=round(outcome.seconds, 6))
        about.update(cpu_seconds=round(outcome.cpu_seconds, 6), peak_mem=outcome.peak_mem)
        about.update(read=outcome.read, written=outcome.written)
        if outcome.exit_code is not None:
            about["exit_code"] = outcome.exit_code
        if outcome.host or here:
            about["host"] = outcome.host or here
    return about


class EventBuffer:
    """Buffers the `step` events of a run for ``reporter`` and lets them go after a flush of ``store``.

    ``here`` is how this machine is called in a run with hosts, empty in others.
    """

    def __init__(self, store: Store, reporter: Reporter, here: str = "") -> None:
        self.here = here
        self._store = store
        self._reporter = reporter
        self._events: list[Event] = []

    def add(
        self, name: str, state: State, reason: str, outcome: Outcome | None, cost: Event | None = None
    ) -> None:
        """The instance ``name`` is settled; ``cost`` is what its attempt cost beyond what ``outcome`` says."""
        event: Event = {"event": "step", "step": name, "status": state.value, "reason": reason}
        event["seconds"] = round(outcome.seconds, 6) if outcome else 0
        if outcome is not None:
            event["cpu_seconds"] = round(outcome.cpu_seconds, 6)
            event.update(peak_mem=outcome.peak_mem, read=outcome.read, written=outcome.written)
            event.update(cost or {})
            if outcome.strays:
                for kind, wrote in (("undeclared_reads", False), ("undeclared_writes", True)):
                    paths = [path for path, write in outcome.strays if write == wrote]
                    if paths:
                        event[kind] = paths
            if outcome.exit_code is not None:
                event["exit_code"] = outcome.exit_code
            if outcome.host or self.here:
                event["host"] = outcome.host or self.here
        self._events.append(event)

    def flush(self) -> str | None:
        """Make what happened durable, then say it; the path that there was no space for.

        Raises OSError when the log cannot be written for another reason.
        """
        full = None
        try:
            self._store.flush()
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            full = str(error.filename or self._store.workspace)
            # What was not written down did not happen: its events are dropped with it.
            self._events = [e for e in self._events if e["status"] != State.RAN.value]
        for event in self._events:
            self._reporter.step(event)
        self._events.clear()
        return full
