"""Temp outputs during a run: promised while they are gone, brought back for a consumer, dropped after the last."""

from __future__ import annotations

from f0make.engine.decider import Kind, Verdict
from f0make.engine.node_state import State
from f0make.engine.temp_leases import Leases, reads
from f0make.model import Output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.engine.run import Run


class Temps:
    """The temp outputs of the nodes of ``run``."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.virtual: dict[int, Verdict] = {}
        """Current or restored nodes with temp outputs that are gone: their event waits, they may yet have to run."""
        self._leases = Leases(run.graph, run.progress.wanted)
        self._awaited: dict[int, list[int]] = {}
        """Maker whose temp outputs are being made again -> nodes that wait for them."""
        self._waiting_for: dict[int, int] = {}
        """Node -> how many such makers it waits for."""

    def promise(self, node: int, verdict: Verdict, output: Output) -> None:
        """The temp ``output`` of ``node`` is gone: it counts as there until somebody must read it."""
        assert verdict.record is not None
        self._run.tokens.promise(output, verdict.record, verdict.record.get("trees", {}))
        self.virtual[node] = verdict

    def enqueued(self, node: int) -> None:
        """``node`` must run: what it reads is needed (again)."""
        self._leases.taken(node)

    def bring_back(self, node: int) -> bool:
        """Bring back the inputs of ``node`` that are only promised; True when that takes a run of their maker."""
        run = self._run
        if self.virtual:
            instance = run.graph.instances[node]
            makers = [maker for maker in run.graph.real_needs(node) if maker in self.virtual]
            for maker in sorted(makers, key=run.progress.position.__getitem__):
                outputs = run.graph.instances[maker].outputs
                missing = [
                    o for o in outputs if reads(run.graph, instance, o) and run.tokens.on_disk(o.path) is None
                ]
                if missing:
                    self._revive(maker, missing)
                if run.progress.state[maker] is State.FAILED:
                    run.progress.doom[node] = State.CANCELLED
                    run.progress.state[node] = State.WAITING
                    run.progress.queue(node)
                    return True
        return self.wait_for_makers(node)

    def wait_for_makers(self, node: int) -> bool:
        """Whether ``node`` must wait because a temp input of it is being made again, for whomever."""
        run = self._run
        state, wanted = run.progress.state, run.progress.wanted
        busy = [n for n in run.graph.needs[node] if n in wanted and not state[n].settled]
        for maker in busy:
            self._awaited.setdefault(maker, []).append(node)
        if busy:
            self._waiting_for[node] = len(busy)
            state[node] = State.WAITING
        return bool(busy)

    def _revive(self, maker: int, missing: list[Output]) -> None:
        """A consumer must run: put the temp outputs ``missing`` of ``maker`` back, or run it again."""
        run = self._run
        verdict = self.virtual[maker]
        instance, before = run.graph.instances[maker], run.progress.state[maker]
        assert verdict.record is not None
        if run.decider.restorable(verdict.record, missing, wait=True):
            verdict.reason = "a consumer needs it"
            run.restore(maker, verdict, missing)
            if run.progress.state[maker] is State.RESTORED:
                return
        else:
            verdict.kind, verdict.reason = Kind.RUN, "a consumer needs it and it is not in the cache"
            run.tally.spared(verdict.record, -1)
            run.enqueue(maker)
        self.virtual.pop(maker, None)
        run.counts[before] -= 1
        for output in instance.outputs:
            run.tokens.keep(output.path)

    def settled(self, node: int) -> None:
        """``node`` is settled: let those go on that waited for its outputs, and temp files that it was the last to need."""
        progress = self._run.progress
        for consumer in self._awaited.pop(node, ()):
            self._waiting_for[consumer] -= 1
            if not progress.state[node].good:
                progress.doom[consumer] = State.CANCELLED
            if not self._waiting_for[consumer]:
                del self._waiting_for[consumer]
                progress.queue(consumer)
        self.carried(node)
        if progress.state[node].good:
            self._drop(node, list(self._leases.of(node)))

    def carried(self, node: int) -> None:
        """``node`` was settled, now or before the graph grew: it needs nothing any more, if it got there."""
        state = self._run.progress.state[node]
        if state.good or state is State.SKIPPED:
            for maker, output in self._leases.done(node):
                self._drop(maker, [output])

    def look_again(self) -> None:
        """The graph has grown: temp files that were kept for what might have come may go."""
        for maker in self._leases.makers:
            if self._run.progress.state[maker].good:
                self._drop(maker, list(self._leases.of(maker)))

    def _drop(self, maker: int, outputs: list[Output]) -> None:
        """Remove ``outputs`` of ``maker``, which nobody needs, unless something that is still to come may."""
        run = self._run
        if not run.progress.state[maker].good:
            return
        step = run.graph.instances[maker].step.name
        gone = [output for output in outputs if not run.growth.may_need(output, step)]
        if gone:
            run.outputs.drop(gone)
