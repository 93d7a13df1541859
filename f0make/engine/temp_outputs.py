"""Temp outputs during a run: brought back for a consumer while they are gone, dropped after the last."""

from __future__ import annotations

from collections.abc import Callable

from f0make.engine.decider import Kind, Verdict
from f0make.engine.node_state import State
from f0make.engine.output_files import Outputs
from f0make.engine.promised_tokens import Tokens
from f0make.engine.run_state import Listener, RunState
from f0make.engine.temp_leases import Leases, reads
from f0make.model import Output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.plan.decide import Record


class TempOutputs(Listener):
    """The temp outputs of a run's nodes; those that are gone are only promised (`RunState.virtual`).

    ``restorable`` tells whether the cache has what outputs of a record need, ``restore`` writes them; ``may_need`` tells whether
    something that is still to come may need an output of a step.
    """

    def __init__(
        self,
        state: RunState,
        tokens: Tokens,
        outputs: Outputs,
        *,
        restorable: Callable[[Record, list[Output]], bool],
        restore: Callable[[int, Verdict, list[Output]], None],
        may_need: Callable[[Output, str], bool],
    ) -> None:
        self._state = state
        self._tokens = tokens
        self._outputs = outputs
        self._restorable = restorable
        self._restore = restore
        self._may_need = may_need

    def laid_out(self) -> None:
        """Whoever reads a temp output is known anew."""
        self._leases = Leases(self._state.graph, self._state.progress.wanted)

    def enqueued(self, node: int) -> None:
        """``node`` must run: what it reads is needed (again)."""
        self._leases.taken(node)

    def bring_back(self, node: int) -> bool:
        """Bring back the inputs of ``node`` that are only promised; True when that takes a run of their maker.

        Raises ProtectedOutput and OSError.
        """
        state = self._state
        if state.virtual:
            graph, instance = state.graph, state.graph.instances[node]
            makers = [maker for maker in graph.real_needs(node) if maker in state.virtual]
            for maker in sorted(makers, key=state.progress.position.__getitem__):
                outputs = graph.instances[maker].outputs
                missing = [
                    o for o in outputs if reads(graph, instance, o) and self._tokens.on_disk(o.path) is None
                ]
                if missing:
                    self._revive(maker, missing)
                if state.progress.state[maker] is State.FAILED:
                    state.cancel(node)
                    return True
        return state.wait_for_makers(node)

    def _revive(self, maker: int, missing: list[Output]) -> None:
        """A consumer must run: put the temp outputs ``missing`` of ``maker`` back, or run it again."""
        state = self._state
        verdict = state.virtual[maker]
        instance, before = state.graph.instances[maker], state.progress.state[maker]
        assert verdict.record is not None
        if self._restorable(verdict.record, missing):
            verdict.reason = "a consumer needs it"
            self._restore(maker, verdict, missing)
            if state.progress.state[maker] is State.RESTORED:
                return
        else:
            verdict.kind, verdict.reason = Kind.RUN, "a consumer needs it and it is not in the cache"
            state.results.tally.spared(verdict.record, -1)
            state.enqueue(maker)
        state.virtual.pop(maker, None)
        state.take_back(before)
        for output in instance.outputs:
            self._tokens.keep(output.path)

    def settled(self, node: int) -> None:
        """``node`` is settled: let temp files go that it was the last to need, and its own that nothing needs."""
        self.carried(node)
        if self._state.progress.state[node].good:
            self._drop(node, list(self._leases.of(node)))

    def carried(self, node: int) -> None:
        """``node`` was settled, now or before the graph grew: it needs nothing any more, if it got there."""
        state = self._state.progress.state[node]
        if state.good or state is State.SKIPPED:
            for maker, output in self._leases.done(node):
                self._drop(maker, [output])

    def grown(self) -> None:
        """Temp files that were kept for what might have come may go."""
        for maker in self._leases.makers:
            if self._state.progress.state[maker].good:
                self._drop(maker, list(self._leases.of(maker)))

    def _drop(self, maker: int, outputs: list[Output]) -> None:
        """Remove ``outputs`` of ``maker``, which nothing needs, unless something that is still to come may."""
        state = self._state
        if not state.progress.state[maker].good:
            return
        step = state.graph.instances[maker].step.name
        gone = [output for output in outputs if not self._may_need(output, step)]
        if gone:
            self._outputs.drop(gone)
