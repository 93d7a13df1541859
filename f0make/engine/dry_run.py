"""A dry walk over the graph: what a run would do, without doing it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from f0make.engine.decider import Decider, Kind, Verdict
from f0make.engine.fingerprints import Recorded
from f0make.engine.output_files import Outputs
from f0make.engine.promised_tokens import Tokens
from f0make.engine.temp_leases import reads
from f0make.engine.visible_contexts import Contexts
from f0make.model import Instance
from f0make.options import RunOptions
from f0make.plan.decide import Planned, Record

if TYPE_CHECKING:
    from f0make.cache.blobs import Blobs
    from f0make.cache.platform_keys import ForPlatform
    from f0make.session import Session
    from f0make.workset import Workset


def plan(
    session: Session, options: RunOptions, blobs: Blobs | None, shared: ForPlatform | None
) -> list[Planned]:
    """What would become of every wanted instance, in topological order.

    Steps that wait for an `after:` step which is up to date are expanded first.
    """
    while True:
        planned = foresee(session, options, blobs, shared)
        status = {p.instance.name: p.status for p in planned}
        names = [instance.name for instance in session.graph.instances]

        def done(node: int, status: dict[str, str] = status, names: list[str] = names) -> bool:
            # With `--only` what is not selected is taken as it is.
            return status.get(names[node], "current" if options.only else "") == "current"

        finished = session.growing.finished_steps(done)
        if not finished:
            return planned
        session.growing.grow(finished)


def foresee(
    session: Workset, options: RunOptions, blobs: Blobs | None, shared: ForPlatform | None
) -> list[Planned]:
    """The same for the graph as it is now."""
    graph = session.graph
    tokens, contexts = Tokens(session.contents), Contexts(graph.needs)
    tokens.through = graph.through
    decider = Decider(session, tokens, contexts, blobs, shared, Recorded(session.store))
    growing = session.growing
    may_grow = growing is not None and bool(growing.pending)
    faults = growing.faults if growing is not None else {}
    decider.nothing_known = shared is None and not session.store.recorded and not may_grow
    chosen = session.select()
    decider.forced.update(chosen.forced)
    outputs = Outputs(session, tokens, "", lambda text: None)
    skipped: set[int] = set()
    reruns: set[int] = set()
    found: dict[int, Planned] = {}
    records: dict[int, Record | None] = {}
    later: dict[int, str] = {}
    for node in _in_waves([n for n in graph.order if n in chosen.wanted], later, shared):
        if later and any(need in later for need in graph.needs[node]):
            later[node] = ""
            continue
        doomed = bool(skipped) and any(need in skipped for need in graph.needs[node])
        if node in graph.barriers:
            if doomed:
                skipped.add(node)
            continue
        instance = graph.instances[node]
        if doomed or not instance.when or node in chosen.left_out:
            skipped.add(node)
            why = "needs a skipped step" if doomed else "when" if not instance.when else "--skip"
            found[node] = Planned(instance, "skip", why)
            continue
        if instance.name in faults:
            reason = faults[instance.name] or "something that it needs cannot run"
            found[node] = Planned(instance, "run", reason)
            reruns.add(node)
            for output in instance.outputs:
                tokens.doubt(output)
            continue
        verdict = decider.decide(node)
        if verdict.kind is Kind.ASKED:
            later[node] = verdict.key
            continue
        planned = Planned(instance, verdict.kind.value, verdict.reason, verdict.changes)
        found[node] = planned
        if node not in decider.forced:
            _foresee_protected(planned, verdict, outputs)
        record = records[node] = verdict.record
        if verdict.kind in (Kind.RUN, Kind.BLOCKED):
            planned.status = "run"
            reruns.add(node)
            for output in instance.outputs:
                tokens.doubt(output)
        elif record is not None:
            if _reads_of_rerun(session, record, node, reruns):
                planned.status, planned.reason = "run", "the context that it reads may change"
                reruns.add(node)
                continue
            for output in instance.outputs:
                if tokens.on_disk(output.path) != record["outputs"][output.path]:
                    tokens.promise(output, record, record.get("trees", {}))
            contexts.settle(node, instance.step.name, record.get("writes", ()))
    _demand_temps(session, decider, found, records)
    return [found[node] for node in graph.order if node in found]


def _foresee_protected(planned: Planned, verdict: Verdict, outputs: Outputs) -> None:
    """Note the protected output that stands in the way of what ``verdict`` says."""
    replaced = planned.instance.outputs if verdict.kind is Kind.RUN else verdict.wrong
    if verdict.kind is not Kind.CURRENT and any(output.protected for output in replaced):
        output = outputs.protected_among(replaced)
        if output is not None:
            # Without a key something that it depends on is not known yet.
            planned.protected, planned.certain = output.path, bool(verdict.key)


def _in_waves(nodes: list[int], later: dict[int, str], shared: ForPlatform | None) -> Iterator[int]:
    """``nodes``, then those of them that were put into ``later``, once the keys there are answered, and so on.

    So the questions to a cache that is far away go out together: as many rounds as the graph is deep.
    """
    while nodes:
        yield from nodes
        nodes = [node for node in nodes if node in later]
        for key in later.values():
            if key and shared is not None:
                shared.wait(key)
        later.clear()


def _reads_of_rerun(session: Workset, record: object, node: int, reruns: set[int]) -> bool:
    """Whether an ancestor that would run may set what ``record`` read of the context."""
    if not isinstance(record, dict) or not (record.get("reads") or record.get("missing_reads")):
        return False
    writers = (n for n in session.graph.closure([node]) & reruns if n != node)
    return any(session.graph.instances[n].step.type == "python" for n in writers)


def _demand_temps(
    session: Workset, decider: Decider, found: dict[int, Planned], records: Mapping[int, Record | None]
) -> None:
    """Makers of temp files that are gone and that an instance which would run reads: restored or made again."""
    graph, tokens = session.graph, decider.tokens
    for node in reversed(graph.order):
        if node not in found or found[node].status != "run":
            continue
        instance: Instance = graph.instances[node]
        for maker in graph.real_needs(node) if tokens.promised else ():
            if maker not in found or found[maker].status not in ("current", "restore"):
                continue
            outputs = [o for o in graph.instances[maker].outputs if o.path in tokens.promised]
            missing = [
                o for o in outputs if o.temp and reads(graph, instance, o) and tokens.on_disk(o.path) is None
            ]
            if not missing:
                continue
            record = records.get(maker)
            again = record is None or not decider.restorable(record, missing, wait=True)
            if again or found[maker].status == "current":
                found[maker].status = "run" if again else "restore"
                found[maker].reason = "a consumer needs it"
