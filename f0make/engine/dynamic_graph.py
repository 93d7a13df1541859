"""The graph grows when a step that a `glob:` waits for (`after:`) is done."""

from __future__ import annotations

from collections.abc import Iterable

from f0make.engine.node_state import State
from f0make.engine.run_state import Listener, RunState
from f0make.errors import UsageError
from f0make.model import Output
from f0make.options import RunOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.workset import GrowingGraph, Workset

HANGS = "something that it needs failed"


class DynamicGraph(Listener):
    """Watches for such steps, and expands the recipe again after each."""

    def __init__(self, state: RunState, session: Workset, options: RunOptions) -> None:
        self._state = state
        self._session = session
        self._only = options.only
        self._skip = options.skip
        self._growing = self._looked = False

    def may_need(self, output: Output, maker: str) -> bool:
        """Whether instances that may still appear in this run may need ``output`` of the step ``maker``."""
        growing = self._session.growing
        if growing is None or not any(self._comes(growing, step) for step in growing.pending):
            return False
        return growing.may_be_read(output, maker)

    def _comes(self, growing: GrowingGraph, step: str) -> bool:
        """Whether the pending ``step`` may come to instances in this run, or was to."""
        root = growing.root_of(step)
        if root in growing.failed:
            return True  # like a reader that failed: the next run may want it
        state = self._state
        return any(node in state.progress.wanted for node in state.graph.by_step.get(root, ()))

    def settled(self, node: int) -> None:
        """``node`` is settled: let the graph grow when it was the last instance of a step that others wait for."""
        state, growing = self._state, self._session.growing
        if growing is None or not growing.pending or not state.progress.is_instance(node):
            return
        if state.graph.instances[node].step.name in growing.pending.values():
            self.look()

    def look(self) -> None:
        """Let the graph grow as long as a step that others wait for is done."""
        session, growing = self._session, self._session.growing
        if growing is None:
            return
        if not self._looked:
            self._looked = True
            self._fail(growing, set())  # What has grown already, for a plan.
        if self._growing or not growing.pending:
            return
        self._growing = True
        try:
            while finished := growing.finished_steps(self._done):
                session.store.flush()
                lost = set(growing.failed)
                growing.grow(finished)
                self._state.grow(session.graph)
                self._fail(growing, lost)
        finally:
            self._growing = False

    def _done(self, node: int) -> bool:
        progress = self._state.progress
        if node in progress.wanted:
            return progress.state[node].good
        return bool(self._only)  # what is not selected is taken as it is

    def _fail(self, growing: GrowingGraph, lost: set[str]) -> None:
        """Settle what has appeared and cannot run; steps and targets in ``lost`` were told before.

        Raises UsageError for a target that never came, while nothing has begun.
        """
        state = self._state
        for step, reason in growing.failed.items():
            if step not in lost and not growing.is_step(step) and not self._begun():
                raise UsageError(reason)
            if step not in lost and (step not in growing.pending or self._wanted(growing, step)):
                state.settle_step(step, State.FAILED, reason)
        for name, reason in growing.faults.items():
            node = state.graph.by_name.get(name)
            if node is None or node not in state.progress.wanted or state.progress.state[node].settled:
                continue
            if reason:
                state.fail(node, reason)
            else:
                state.settle(node, State.CANCELLED, HANGS)

    def _begun(self) -> bool:
        """Whether this run has changed anything yet."""
        return bool(self._state.attempts.started or self._state.results.counts[State.RESTORED])

    def _wanted(self, growing: GrowingGraph, step: str) -> bool:
        """Whether this run asks for the pending ``step``."""
        if self._only and not _named(self._only, step):
            return False
        return step in growing.coming()

    def settle_rest(self) -> None:
        """The run is over: say what has become of the steps that came to no instances."""
        state, growing = self._state, self._session.growing
        if growing is None:
            return
        for step in growing.coming():
            if step in state.results.without_instances or not self._wanted(growing, step):
                continue
            found, why = State.CANCELLED, "the run ended first"
            root = growing.root_of(step)
            states = {state.progress.state[n] for n in state.graph.by_step.get(root, ())}
            if root in growing.failed or states & {State.FAILED, State.CANCELLED}:
                why = HANGS
            elif State.SKIPPED in states or _named(self._skip, step):
                found, why = State.SKIPPED, "it needs a skipped step"
            state.settle_step(step, found, why)


def _named(words: Iterable[str], step: str) -> bool:
    """Whether one of the ``words`` of `--only` or `--skip` means ``step``, or instances of it."""
    from f0make.graph.selection import names_step

    return any(names_step(word, [step]) for word in words)
