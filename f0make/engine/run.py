"""The one loop that drives a run: decide what is settled, start what fits, keep what comes back.

Everything happens in one thread; the backend tells of events through an inbox. Nothing is announced before it is on disk:
events are buffered and leave after the flush of the log.
"""

from __future__ import annotations

import time
from queue import Empty, SimpleQueue

from f0make.backends.base import BackendEvent, Lost, Note
from f0make.engine.completion import Completion
from f0make.engine.dispatch import Dispatcher
from f0make.engine.dynamic_graph import DynamicGraph
from f0make.engine.lazy_backend import LazyBackend
from f0make.engine.node_state import State
from f0make.engine.output_files import Outputs
from f0make.engine.pending_lookups import PendingLookups
from f0make.engine.resolve import Resolver
from f0make.engine.run_state import RunState, Stop, StopReason
from f0make.engine.slot_pool import SlotPool
from f0make.options import Event, Reporter
from f0make.worker.bundle import Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.governor.base import Governing
    from f0make.model import Instance

GRACE = 2.5
"""Seconds between TERM and KILL when a run is interrupted."""


class Run:
    """Drives ``state`` to its end with the parts that `assemble` has put together."""

    def __init__(
        self,
        state: RunState,
        inbox: SimpleQueue[BackendEvent | None],
        outputs: Outputs,
        *,
        resolver: Resolver,
        dispatcher: Dispatcher,
        completion: Completion,
        growth: DynamicGraph,
        lookups: PendingLookups,
        pool: SlotPool,
        backend: LazyBackend,
        governor: Governing,
        reporter: Reporter,
    ) -> None:
        self.state = state
        self.outputs = outputs
        self.lookups = lookups
        self._inbox = inbox
        self._resolver = resolver
        self._dispatcher = dispatcher
        self._completion = completion
        self._growth = growth
        self._pool = pool
        self._backend = backend
        self._governor = governor
        self._reporter = reporter
        self._cut_off: list[Instance] = []
        """What a sum of the budget did not suffice for."""

    # -- the loop ----------------------------------------------------------------------------------------

    def run(self) -> None:
        """Drive every wanted node to a settled state. Raises what the state or the backend cannot bear."""
        state = self.state
        try:
            self._growth.look()
            while True:
                self._resolve_all()
                self._dispatch()
                state.flush()
                if state.ready.running or state.due or (self.lookups and not state.stopping):
                    if state.interrupted:
                        self._abandon_running()
                        break
                    self._wait()
                elif self._pool.parked and not state.stopping:
                    self._wait()
                elif state.stopping or not self._work_left() or self._nothing_fits():
                    break
                elif len(state.ready) and self._pool.waits():
                    self._wait()
        finally:
            self._governor.release()
            self._backend.stop(GRACE)
            self._governor.close()
        state.settle_rest()
        self._growth.settle_rest()
        state.flush()

    def _resolve_all(self) -> None:
        """Settle what can be, or find that it must run; what comes back meanwhile is not left waiting."""
        state = self.state
        for answered in self.lookups.answered():
            state.decide_again(answered)
        while not state.stopping:
            node = state.progress.next_undecided()
            if node is None:
                return
            self._resolver.resolve(node)
            arrived = not self._inbox.empty()
            if arrived:
                self._take_in()
            if state.ready.room and not state.ready.ranked:
                self._dispatch()
            if arrived:
                state.flush()
            if state.ready.running:
                self._governor.look(self._backend.made())

    def _dispatch(self) -> None:
        self._dispatcher.dispatch(hold=self.state.ready.ranked and bool(self.lookups))

    def _work_left(self) -> bool:
        return self.state.progress.undecided or bool(len(self.state.ready))

    def _nothing_fits(self) -> bool:
        """Whether a sum of the budget is too small for all that is ready. Raises UsageError when it always was."""
        state = self.state
        if state.progress.undecided or not self._governor.refused:
            return False
        unsettled = list(state.progress.unsettled())
        instances = state.graph.instances
        self._governor.refuse_hopeless(
            [instances[n] for n in unsettled if state.progress.state[n] is State.READY]
        )
        state.end(StopReason(Stop.OVER_BUDGET, next(iter(self._governor.refused.values()))))
        self._cut_off = [instances[n] for n in unsettled]
        return True

    # -- what comes in -----------------------------------------------------------------------------------

    def _wait(self) -> None:
        """Sleep until an event, a signal or the next retry."""
        state = self.state
        if self.lookups.news:
            return
        timeout = None
        if state.due and not state.stopping:
            timeout = max(0.0, state.due[0][0] - time.monotonic())
        elif state.due and not state.ready.running:
            state.due.clear()
            return
        if state.ready.running:
            self._governor.look(self._backend.made())
            patience = self._governor.patience()
            timeout = patience if timeout is None else timeout if patience is None else min(timeout, patience)
        try:
            event = self._inbox.get(timeout=timeout)
        except Empty:
            return
        self._take_in(event)

    def _take_in(self, event: BackendEvent | None = None) -> None:
        """Take in ``event`` and every other one that is waiting.

        Nothing is flushed here: what starts in their places is written to the log together with them.
        """
        while True:
            if isinstance(event, Outcome):
                self._completion.take(event)
            elif isinstance(event, Note):
                self._reporter.note(event.text)
            elif isinstance(event, Lost):
                self.state.end(StopReason(Stop.UNREACHABLE, event.why))
            elif event is not None:
                self._pool.take(event)
            try:
                event = self._inbox.get_nowait()
            except Empty:
                return

    # -- signals -----------------------------------------------------------------------------------------

    def interrupt(self, signum: int) -> None:
        """Called from a signal handler: end the run, and every step at once."""
        self.state.end(StopReason(Stop.INTERRUPTED, signal=signum))
        self._inbox.put(None)

    def _abandon_running(self) -> None:
        """Interrupted: stop every process, then put aside what was half made."""
        self._governor.release()
        self._backend.stop(GRACE)
        self._completion.abandon()

    def suspend(self) -> None:
        """Called from a signal handler: stop together with every step of this machine, until f0make is continued."""
        self._backend.suspend()

    # -- the end -----------------------------------------------------------------------------------------

    def fields(self) -> Event:
        """What the summary says of hosts, of energy and of the budget."""
        fields = {**self._pool.fields(), **self._governor.fields()}
        if self._cut_off:
            fields["budget"] = next(iter(self._governor.refused.values()))
            fields["rest"] = self._governor.rest(self._cut_off)
        return fields
