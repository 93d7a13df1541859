"""What comes next for a node that can be decided: settled as it is, restored, asked about, or run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from f0make.cache.blobs import BlobCorrupt, BlobMissing
from f0make.engine.attempt_records import imported
from f0make.engine.decider import Decider, Kind, Verdict
from f0make.engine.node_state import State
from f0make.engine.output_files import Outputs, ProtectedOutput
from f0make.engine.promised_tokens import Tokens
from f0make.engine.run_state import Listener, RunState
from f0make.model import Instance, Output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.cache.blobs import Blobs
    from f0make.cache.platform_keys import ForPlatform
    from f0make.files.content_cache import Seen
    from f0make.plan.decide import Record
    from f0make.plan.key import Parts
    from f0make.workset import Workset


class Resolver(Listener):
    """Decides nodes, and does what their verdicts say.

    ``fingerprints`` tells what fingerprint commands gave; ``waits`` whether a node must wait for more of that; ``park`` hears
    of a node whose key a cache that is far away is asked about.
    """

    def __init__(
        self,
        state: RunState,
        session: Workset,
        tokens: Tokens,
        outputs: Outputs,
        *,
        blobs: Blobs | None,
        shared: ForPlatform | None,
        fingerprints: Callable[[Instance], Sequence[list[str]]],
        waits: Callable[[int, Verdict], bool],
        park: Callable[[int, str], None],
        note: Callable[[str], None],
    ) -> None:
        self._state = state
        self._session = session
        self._tokens = tokens
        self._outputs = outputs
        self._blobs = blobs
        self._shared = shared
        self._fingerprints = fingerprints
        self._waits = waits
        self._park = park
        self._note = note

    def laid_out(self) -> None:
        """Decide by the new graph."""
        self._tokens.through = self._state.graph.through
        self._decider = Decider(
            self._session, self._tokens, self._state.contexts, self._blobs, self._shared, self._fingerprints
        )
        self._decider.forced.update(self._state.selection.forced)

    def parts_of(self, instance: Instance, texts: Sequence[str]) -> Parts:
        """See `Decider.parts_of`."""
        return self._decider.parts_of(instance, texts)

    def restorable(self, record: Record, outputs: list[Output]) -> bool:
        """Whether the cache holds everything that ``outputs`` need; waits for one that is far away."""
        return bool(self._decider.restorable(record, outputs, wait=True))

    def seen(self, path: str) -> Sequence[Seen]:
        """The signatures of all that the content of the input ``path`` rests on."""
        return self._decider.seen(path)

    def discovered(self, path: str) -> str | None:
        """The token of what lies now at ``path``, which a record has discovered; None when there is nothing."""
        return self._decider.discovered.token_of(path)

    def resolve(self, node: int) -> None:
        """Decide ``node``, all whose needs are settled."""
        state = self._state
        doom = state.progress.doom.get(node)
        if doom is not None:
            state.settle(node, doom, state.progress.why_doomed(node))
            return
        if not state.progress.is_instance(node):
            state.settle(node, State.CURRENT, "")
            return
        instance = state.graph.instances[node]
        if not instance.when or node in state.selection.left_out:
            state.settle(node, State.SKIPPED, "when" if not instance.when else "--skip")
            return
        if state.wait_for_makers(node):
            return
        try:
            verdict = state.verdicts[node] = self._decider.decide(node)
            self._act(node, instance, verdict)
        except ProtectedOutput as error:
            state.fail(node, str(error))
        except OSError as error:
            if not state.interrupted:  # Else it is as undecided as what comes after it.
                state.fail_by_error(node, error)

    def _act(self, node: int, instance: Instance, verdict: Verdict) -> None:
        if instance.fingerprint and self._waits(node, verdict):
            return
        if verdict.kind is Kind.CURRENT:
            self._found_current(node, instance, verdict)
        elif verdict.kind is Kind.RESTORE:
            self.restore(node, verdict, verdict.wrong)
        elif verdict.kind is Kind.ASKED:
            self._park(node, verdict.key)
        elif verdict.kind is Kind.BLOCKED:
            self._state.fail(node, verdict.reason)
        else:
            self._outputs.guard(instance.outputs, node in self._state.selection.forced)
            self._state.enqueue(node)

    def _found_current(self, node: int, instance: Instance, verdict: Verdict) -> None:
        state, store, record = self._state, self._session.store, verdict.record
        if record is not None:
            if verdict.imported:
                store.append_record(imported(record, instance, verdict))
            left = {}
            for output in instance.outputs:
                if self._tokens.on_disk(output.path) is None:
                    self._promise(node, verdict, output)
                elif not output.temp or self._outputs.handover.foreign(output.path) is None:
                    left[output.path] = record["outputs"][output.path]
            if not store.knows(left, instance.name):
                self._outputs.handover.take(left)
                store.append_made(left, instance.name, record["key"])
            self._remember_writes(node, verdict)
            state.results.tally.spared(record)
        reason = state.results.back.get(instance.name)
        if reason is not None:
            state.settle(node, State.RESTORED, reason)
        else:
            state.settle(node, State.CURRENT, verdict.reason, quiet=node in state.virtual)

    def restore(self, node: int, verdict: Verdict, wrong: list[Output]) -> None:
        """Write the outputs ``wrong`` from the cache, as the record of ``verdict`` has them.

        Raises ProtectedOutput and OSError.
        """
        state, record = self._state, verdict.record
        instance = state.graph.instances[node]
        assert record is not None and self._blobs is not None
        self._outputs.guard(wrong, node in state.selection.forced)
        damaged: BlobMissing | BlobCorrupt | None = None
        try:
            self._outputs.restore(instance, record, wrong, self._blobs)
        except (BlobMissing, BlobCorrupt) as error:
            damaged = error
        if verdict.imported:
            # Not before: it says what f0make has made, and what lay there before was f0make's by another record.
            self._session.store.append_record(imported(record, instance, verdict))
        state.virtual.pop(node, None)
        if damaged is not None:
            self._note(f"{instance.name}: {damaged}; it runs again")
            verdict.kind, verdict.reason = Kind.RUN, "what the cache held for it was damaged"
            state.enqueue(node)
            return
        for output in instance.outputs:
            if output.temp and self._tokens.on_disk(output.path) is None:
                self._promise(node, verdict, output)
        self._remember_writes(node, verdict)
        before = state.progress.state[node]
        if before.settled:
            state.take_back(before)
        else:
            state.results.tally.spared(record)
        state.settle(node, State.RESTORED, verdict.reason, quiet=node in state.virtual)

    def _promise(self, node: int, verdict: Verdict, output: Output) -> None:
        """The temp ``output`` of ``node`` is gone: it counts as there until somebody must read it."""
        assert verdict.record is not None
        self._tokens.promise(output, verdict.record, verdict.record.get("trees", {}))
        self._state.virtual[node] = verdict

    def _remember_writes(self, node: int, verdict: Verdict) -> None:
        assert verdict.record is not None
        if verdict.record.get("writes") or verdict.record.get("missing_reads"):
            from f0make.engine.context_keys import remember_writes

            for text in remember_writes(self._state, self._session, node, verdict.record):
                self._note(text)
