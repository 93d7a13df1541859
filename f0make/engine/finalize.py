"""The end of a run: its summary, its exit code, and what is kept of it for the next one."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from f0make import STATE
from f0make.engine.decider import Kind
from f0make.engine.node_state import State
from f0make.engine.run_state import RunState, Stop
from f0make.errors import NO_ROOM, Exit, StateError
from f0make.options import Event
from f0make.run_records import RunResults

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.cache.blobs import Blobs
    from f0make.plan.decide import Record
    from f0make.workset import Workset

STATUSES = ("ran", "restored", "current", "failed", "skipped", "cancelled")
_ENDS = {
    None: "ok",
    Stop.OVER_BUDGET: "budget",
    Stop.FAILING: "failed",
    Stop.DISK_FULL: "failed",
    Stop.UNREACHABLE: "failed",
    Stop.INTERRUPTED: "interrupted",
}
"""The gravest reason why a run ended -> its status, where no instance has failed."""


def summary_of(state: RunState, seconds: float, more: Event) -> Event:
    """The `summary` event of a run that took ``seconds``; ``more`` is what others have to say in it."""
    counts = {found.value: n for found, n in state.results.counts.items()}
    status = _ENDS[state.stop.kind if state.stop is not None else None]
    if counts.get("failed") and status != "interrupted":
        status = "failed"
    summary: Event = {"event": "summary", "status": status}
    summary.update({name: counts.get(name, 0) for name in STATUSES})
    summary["seconds"] = round(seconds, 3)
    summary.update(state.results.tally.fields())
    summary.update(more)
    return summary


def exit_code_of(state: RunState, summary: Event) -> int:
    """What the command line ends with."""
    stop = state.stop
    if stop is not None and stop.kind is Stop.INTERRUPTED:
        return 128 + stop.signal
    if stop is not None and stop.kind is Stop.UNREACHABLE and not state.results.counts[State.FAILED]:
        return int(Exit.UNREACHABLE)
    return int({"ok": Exit.OK, "budget": Exit.BUDGET}.get(summary["status"], Exit.FAILED))


def run_results(state: RunState) -> RunResults:
    """What the next run can begin from, when this one ended well."""
    progress, verdicts, attempts = state.progress, state.verdicts, state.attempts

    def record(node: int) -> Record | None:
        verdict = verdicts.get(node)
        return None if verdict is None or verdict.kind is Kind.RUN else verdict.record

    return RunResults(
        wanted=progress.wanted,
        skipped={
            n: progress.why_doomed(n) if n in progress.doom else "when"
            for n in progress.wanted
            if progress.is_instance(n) and progress.state[n] is State.SKIPPED
        },
        changed=state.results.steps,
        record=record,
        discovered=attempts.discovered,
        uses_context=bool(state.contexts.writes or attempts.missing_reads),
    )


def save(
    state: RunState,
    session: Workset,
    run_id: str,
    summary: Event,
    *,
    recipe_path: str,
    targets: Sequence[str],
    started: float,
    blobs: Blobs | None,
    note: Callable[[str], None],
) -> None:
    """Keep signatures, history and the no-op snapshot; what cannot be kept only costs time later.

    ``started`` is Unix time. Raises StateError when `.f0make` cannot be written, but for a lack of space.
    """
    from f0make.cache.usage_log import note_use
    from f0make.store.run_history import append_run

    about = {
        "run": run_id,
        "recipe": session.store.recipe,
        "targets": list(targets),
        "started": round(started, 3),
        "steps": state.results.steps,
        "failures": state.results.failures,
        "test_meta": session.test_meta,
    }
    try:
        session.contents.settle()
        if session.complete:
            session.contents.save(os.path.join(session.workspace, STATE, "signatures"))
        if blobs is not None and (summary["ran"] or summary["restored"]):
            note_use(blobs.directory, summary["restored"], summary["ran"])
        if summary["failed"] or (session.complete and summary["ran"]):
            from f0make.engine.retention import prune

            prune(session)
        append_run(session.workspace, {**summary, **about})
        if summary["status"] == "ok" and not (session.growing is not None and session.growing.pending):
            session.save_snapshot(run_results(state), recipe_path, targets)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise StateError(f"{error.filename or session.workspace}: {error.strerror}") from None
        note(f"no space left on device ({error.filename or session.workspace})")
