"""What instances read and write of the context, over the whole of a run's graph."""

from __future__ import annotations

from collections.abc import Mapping

from f0make.engine.run_state import RunState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from f0make.workset import Workset


def unseen(key: str, step: str) -> str:
    """What is wrong with a read of ``key``, which ``step`` sets without being an ancestor of the reader."""
    return f"it read the context key {key!r}, which step {step!r} sets: add {step!r} to its depends_on"


def foreign_keys(state: RunState, session: Workset, node: int) -> dict[str, str]:
    """Context keys that only steps which are no ancestors of ``node`` set, did or will -> the step."""
    foreign = state.contexts.foreign(node)
    if session.setters:
        graph = state.graph
        above = graph.closure([node]) - set(graph.barriers)
        line = {graph.instances[n].name for n in above}
        for key, names in session.setters.items():
            present = [name for name in names if name in graph.by_name]
            if present and not names & line:
                setter = graph.instances[graph.by_name[min(present)]]
                foreign.setdefault(key, setter.step.name)
    return foreign


def remember_writes(state: RunState, session: Workset, node: int, record: Mapping[str, Any]) -> list[str]:
    """Take the context writes of ``record``, the result of ``node``, into the run's context.

    A key that an instance read in vain before, and that ``node`` sets without being its ancestor, is an error of the
    reader: its result is not kept. Returns what a person should know of that.
    """
    instance = state.graph.instances[node]
    state.contexts.settle(node, instance.step.name, record.get("writes", ()))
    if record.get("missing_reads"):
        state.attempts.missing_reads[instance.name] = set(record["missing_reads"])
    keys = {write["key"] for write in record.get("writes", ())}
    told = []
    for name, missing in state.attempts.missing_reads.items() if keys else ():
        reader = state.graph.by_name[name]
        clash = keys & missing
        good = state.progress.state[reader].good
        if clash and reader != node and good and node not in state.contexts.above(reader):
            session.store.forget(state.verdicts[reader].key)
            state.fail_after_all(reader)
            told.append(f"{name}: {unseen(sorted(clash)[0], instance.step.name)}; its result is not kept")
    return told
