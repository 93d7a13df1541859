"""The graph grows when a step that a `glob:` waits for (`after:`) is done."""

from __future__ import annotations

from f0make.engine.nodes import State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.engine.run import Run


class Growth:
    """Watches for such steps in ``run``, and expands the recipe again after each."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._finished: set[str] = set()

    def settled(self, node: int) -> None:
        """``node`` is settled: let the graph grow when it was the last instance of a step that others wait for."""
        run = self._run
        if not run.session.pending or not run.progress.is_instance(node):
            return
        step = run.graph.instances[node].step.name
        if step not in run.session.pending.values() or step in self._finished:
            return
        if all(run.progress.state[n].good for n in run.graph.by_step[step]):
            self._finished.add(step)
            run.session.store.flush()
            self._grow()

    def _grow(self) -> None:
        """Expand again, and carry every node over by name."""
        run = self._run
        old, verdicts, demands = run.progress, run.verdicts, run.demands
        virtual, contexts = run.temps.virtual, run.contexts
        done = {old.graph.instances[n].name: n for n in old.wanted if old.is_instance(n)}
        run.session.build(frozenset(self._finished))
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
                run.release(node)
            # What was READY is decided again: cheap, and right whatever the growth changed around it.
        run.due.clear()
        new.look_again()
