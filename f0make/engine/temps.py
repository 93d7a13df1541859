"""Temp outputs during a run: promised while they are gone, brought back for a consumer, dropped after the last."""

from __future__ import annotations

from f0make.engine.decider import Kind, Verdict
from f0make.engine.nodes import State
from f0make.model import Output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.engine.run import Run


class Temps:
    """The temp outputs of the nodes of ``run``."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.virtual: dict[int, Verdict] = {}
        """Current or restored nodes whose temp outputs are gone: their event waits, they may yet have to run."""
        self._awaited: dict[int, list[int]] = {}
        """Maker whose temp outputs are being made again -> nodes that wait for them."""
        self._waiting_for: dict[int, int] = {}
        """Node -> how many such makers it waits for."""

    def promise(self, node: int, verdict: Verdict, output: Output) -> None:
        """The temp ``output`` of ``node`` is gone: it counts as there until somebody must read it."""
        assert verdict.record is not None
        self._run.tokens.promise(output, verdict.record, verdict.record.get("trees", {}))
        self.virtual[node] = verdict

    def bring_back(self, node: int) -> bool:
        """Bring back the inputs of ``node`` that are only promised; True when that takes a run of their maker."""
        run = self._run
        makers = {maker for path in run.graph.instances[node].inputs for maker in run.graph.makers_of(path)}
        for maker in sorted(makers, key=run.progress.position.__getitem__):
            if maker in self.virtual:
                self._revive(maker)
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

    def _revive(self, maker: int) -> None:
        """A consumer must run: put the temp outputs of ``maker`` back, or make them again."""
        run = self._run
        verdict = self.virtual[maker]
        instance, before = run.graph.instances[maker], run.progress.state[maker]
        assert verdict.record is not None
        missing = [o for o in instance.outputs if run.tokens.on_disk(o.path) is None]
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

    def settled(self, maker: int) -> None:
        """``maker`` is settled: let those go on that waited for its outputs."""
        progress = self._run.progress
        for consumer in self._awaited.pop(maker, ()):
            self._waiting_for[consumer] -= 1
            if not progress.state[maker].good:
                progress.doom[consumer] = State.CANCELLED
            if not self._waiting_for[consumer]:
                del self._waiting_for[consumer]
                progress.queue(consumer)

    def drop(self, node: int) -> None:
        """Remove the temp outputs of ``node`` if all that need it are done."""
        progress = self._run.progress
        if not progress.is_instance(node) or node not in progress.wanted:
            return
        if not all(
            progress.state[u].good or progress.state[u] is State.SKIPPED for u in progress.users(node)
        ):
            return
        temp = [o for o in progress.graph.instances[node].outputs if o.temp]
        if temp:
            self._run.outputs.drop(temp)
