"""The graph grows when a step that a `glob:` waits for (`after:`) is done."""

from __future__ import annotations

from collections.abc import Iterable

from f0make.engine.node_state import State
from f0make.errors import UsageError
from f0make.model import Output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.engine.run import Run
    from f0make.workset import GrowingGraph

HANGS = "something that it needs failed"


class Growth:
    """Watches for such steps in ``run``, and expands the recipe again after each."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._growing = self._looked = False

    def may_need(self, output: Output, maker: str) -> bool:
        """Whether instances that may still appear in this run may need ``output`` of the step ``maker``."""
        growing = self._run.session.growing
        if growing is None or not any(self._comes(growing, step) for step in growing.pending):
            return False
        return growing.may_be_read(output, maker)

    def _comes(self, growing: GrowingGraph, step: str) -> bool:
        """Whether the pending ``step`` may come to instances in this run, or was to."""
        run = self._run
        root = growing.root_of(step)
        if root in growing.failed:
            return True  # like a reader that failed: the next run may want it
        return any(node in run.progress.wanted for node in run.graph.by_step.get(root, ()))

    def settled(self, node: int) -> None:
        """``node`` is settled: let the graph grow when it was the last instance of a step that others wait for."""
        run, growing = self._run, self._run.session.growing
        if growing is None or not growing.pending or not run.progress.is_instance(node):
            return
        if run.graph.instances[node].step.name in growing.pending.values():
            self.look()

    def look(self) -> None:
        """Let the graph grow as long as a step that others wait for is done."""
        run, growing = self._run, self._run.session.growing
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
                run.session.store.flush()
                self._grow(growing, finished)
        finally:
            self._growing = False

    def _done(self, node: int) -> bool:
        run = self._run
        if node in run.progress.wanted:
            return run.progress.state[node].good
        return bool(run.options.only)  # what is not selected is taken as it is

    def _grow(self, growing: GrowingGraph, finished: frozenset[str]) -> None:
        """Expand again, carry every node over by name, and fail what cannot run."""
        run = self._run
        lost = set(growing.failed)
        old, verdicts, demands = run.progress, run.verdicts, run.demands
        virtual, contexts = run.temps.virtual, run.contexts
        done = {old.graph.instances[n].name: n for n in old.wanted if old.is_instance(n)}
        growing.grow(finished)
        run.lay_out(run.session.graph)
        run.scheduler.reset()
        new = run.progress
        for node in sorted(new.wanted, key=new.position.__getitem__):
            before = done.get(new.graph.instances[node].name) if new.is_instance(node) else None
            if before is None:
                continue
            state = old.state[before]
            if state in (State.RUNNING, State.READY) or state.settled:
                new.graph.instances[node] = old.graph.instances[before]
            if before in demands:
                run.demands[node] = demands[before]
            if before in verdicts:
                run.verdicts[node] = verdicts[before]
            if before in virtual:
                run.temps.virtual[node] = virtual[before]
            if state is State.RUNNING:
                new.state[node] = State.RUNNING
                run.scheduler.begin(node, demands[before])
            elif state.settled:
                new.state[node] = state
                step = new.graph.instances[node].step.name
                run.contexts.settle(node, step, contexts.writes.get(before, ()))
                new.release(node)
                run.temps.carried(node)
            # What was READY is decided again: cheap, and right whatever the growth changed around it.
        run.due.clear()
        new.look_again()
        self._fail(growing, lost)
        run.temps.look_again()

    def _fail(self, growing: GrowingGraph, lost: set[str]) -> None:
        """Settle what has appeared and cannot run; steps and targets in ``lost`` were told before.

        Raises UsageError for a target that never came, while nothing has begun.
        """
        run = self._run
        for step, reason in growing.failed.items():
            if step not in lost and not growing.is_step(step) and not self._begun():
                raise UsageError(reason)
            if step not in lost and (step not in growing.pending or self._wanted(growing, step)):
                run.settle_step(step, State.FAILED, reason)
        for name, reason in growing.faults.items():
            node = run.graph.by_name.get(name)
            if node is None or node not in run.progress.wanted or run.progress.state[node].settled:
                continue
            if reason:
                run.fail(node, reason)
            else:
                run.settle(node, State.CANCELLED, HANGS)

    def _begun(self) -> bool:
        """Whether this run has changed anything yet."""
        run = self._run
        return bool(run.attempts.started or run.counts[State.RESTORED])

    def _wanted(self, growing: GrowingGraph, step: str) -> bool:
        """Whether this run asks for the pending ``step``."""
        run = self._run
        if run.options.only and not _named(run.options.only, step):
            return False
        return step in growing.coming()

    def settle_rest(self) -> None:
        """The run is over: say what has become of the steps that came to no instances."""
        run, growing = self._run, self._run.session.growing
        if growing is None:
            return
        for step in growing.coming():
            if step in run.without_instances or not self._wanted(growing, step):
                continue
            state, why = State.CANCELLED, "the run ended first"
            root = growing.root_of(step)
            states = {run.progress.state[n] for n in run.graph.by_step.get(root, ())}
            if root in growing.failed or states & {State.FAILED, State.CANCELLED}:
                why = HANGS
            elif State.SKIPPED in states or _named(run.options.skip, step):
                state, why = State.SKIPPED, "it needs a skipped step"
            run.settle_step(step, state, why)


def _named(words: Iterable[str], step: str) -> bool:
    """Whether one of the ``words`` of `--only` or `--skip` means ``step``, or instances of it."""
    from f0make.graph.selection import names_step

    return any(names_step(word, [step]) for word in words)
