"""The end of a run: its summary, its exit code, and what is kept of it for the next one."""

from __future__ import annotations

import os
from collections.abc import Sequence

from f0make import STATE
from f0make.engine.decider import Kind
from f0make.engine.node_state import State
from f0make.errors import NO_ROOM, Exit, StateError
from f0make.options import Event
from f0make.run_records import RunResults

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.engine.run import Run
    from f0make.plan.decide import Record

STATUSES = ("ran", "restored", "current", "failed", "skipped", "cancelled")


def summary_of(run: Run, seconds: float) -> Event:
    """The `summary` event of ``run``, which took ``seconds``."""
    counts = {state.value: n for state, n in run.counts.items()}
    if run.interrupted:
        status = "interrupted"
    elif counts.get("failed") or run.disk_full or run.unreachable:
        status = "failed"
    elif run.over_budget:
        status = "budget"
    else:
        status = "ok"
    summary: Event = {"event": "summary", "status": status}
    summary.update({name: counts.get(name, 0) for name in STATUSES})
    summary["seconds"] = round(seconds, 3)
    summary.update(run.tally.fields())
    if run.shared is not None:
        summary.update(run.shared.fields())
    if run.farm is not None:
        summary["hosts"] = run.farm.summary()
    if run.governor is not None:
        summary.update(run.governor.fields())
        if run.over_budget:
            summary["budget"] = run.over_budget
            summary["rest"] = run.governor.rest(run.cut_off)
    return summary


def exit_code_of(run: Run, summary: Event) -> int:
    """What the command line ends with."""
    if run.interrupted:
        return 128 + run.interrupted
    if run.unreachable and not run.counts[State.FAILED]:
        return int(Exit.UNREACHABLE)
    return int({"ok": Exit.OK, "budget": Exit.BUDGET}.get(summary["status"], Exit.FAILED))


def results_of(run: Run) -> RunResults:
    """What the next run can begin from, when ``run`` ended well."""
    progress, verdicts, attempts = run.progress, run.verdicts, run.attempts

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
        changed=run.steps,
        record=record,
        discovered=attempts.discovered,
        uses_context=bool(run.contexts.writes or attempts.missing_reads),
    )


def save(run: Run, summary: Event, recipe_path: str, targets: Sequence[str], started: float) -> None:
    """Keep signatures, history and the no-op snapshot; what cannot be kept only costs time later.

    ``started`` is Unix time. Raises StateError when `.f0make` cannot be written, but for a lack of space.
    """
    from f0make.cache.usage_log import note_use
    from f0make.store.run_history import append_run

    session = run.session
    about = {
        "run": run.run_id,
        "recipe": session.store.recipe,
        "targets": list(targets),
        "started": round(started, 3),
        "steps": run.steps,
        "failures": run.failures,
        "test_meta": session.test_meta,
    }
    try:
        session.contents.settle()
        if session.complete:
            session.contents.save(os.path.join(session.workspace, STATE, "signatures"))
        if run.blobs is not None and (summary["ran"] or summary["restored"]):
            note_use(run.blobs.directory, summary["restored"], summary["ran"])
        if summary["failed"] or (session.complete and summary["ran"]):
            from f0make.engine.retention import prune

            prune(session)
        append_run(session.workspace, {**summary, **about})
        if summary["status"] == "ok" and not (session.growing is not None and session.growing.pending):
            session.save_snapshot(results_of(run), recipe_path, targets)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise StateError(f"{error.filename or session.workspace}: {error.strerror}") from None
        run.reporter.note(f"no space left on device ({error.filename or session.workspace})")
