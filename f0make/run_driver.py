"""One run over an opened session: what is told at its start, the loop, and what is kept at its end."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from f0make.engine.assemble import assemble
from f0make.engine.finalize import exit_code_of, save, summary_of
from f0make.engine.large_files import hash_large_together
from f0make.result import RunResult
from f0make.store.instance_identity import UNKNOWN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.engine.assemble import Means
    from f0make.engine.output_files import Outputs
    from f0make.engine.run import Run
    from f0make.engine.run_state import RunState
    from f0make.options import Event, Reporter, RunOptions
    from f0make.workset import Workset


def drive(
    session: Workset,
    options: RunOptions,
    reporter: Reporter,
    recipe_path: str,
    targets: list[str],
    means: Means,
    began: float,
) -> RunResult:
    """Bring ``targets`` of the recipe that ``session`` has opened up to date; ``began`` is monotonic.

    Raises RecipeError when strictyaml refuses the recipe after all, and what the state, the backend or a budget
    cannot bear.
    """
    session.confirm()
    started = time.time()
    told = len(session.store.damage)
    run = assemble(session, options, reporter, means)
    state = run.state
    reporter.watch(state.ready.scheduler.monitor)
    _tell_start(state, session, reporter, recipe_path, means)
    try:
        hash_large_together(session, means.jobs, reporter.note, lambda: state.interrupted)
        with _signals(run):
            _take_over(session, run, means, reporter)
            _clean_up_crash(session, run.outputs)
            _refuse_protected(session, options, run, means)
            run.run()
    finally:
        run.outputs.close()
        if means.shared is not None:
            means.shared.close(lambda: state.interrupted)
            run.lookups.tell()
    more = means.shared.fields() if means.shared is not None else {}
    summary = summary_of(state, time.monotonic() - began, {**more, **run.fields()})
    for text in (*run.outputs.handover.told(), *state.said(), *session.store.damage[told:]):
        reporter.note(text)
    save(
        state,
        session,
        means.run_id,
        summary,
        recipe_path=recipe_path,
        targets=targets,
        started=started,
        blobs=means.blobs,
        note=reporter.note,
    )
    reporter.summary(summary)
    return _result(session, state, summary)


def _refuse_protected(session: Workset, options: RunOptions, run: Run, means: Means) -> None:
    """Fail, before anything starts, what would have to replace a protected output whatever the steps before it make."""
    progress, graph = run.state.progress, run.state.graph
    outputs = [o for n in progress.wanted if progress.is_instance(n) for o in graph.instances[n].outputs]
    protected = [output for output in outputs if output.protected]
    if not protected or run.outputs.protected_among(protected) is None:
        return
    from f0make.engine.dry_run import foresee
    from f0make.engine.output_files import refusal

    for planned in foresee(session, options, means.blobs, means.shared):
        node = graph.by_name.get(planned.instance.name)
        if planned.protected and planned.certain and node is not None:
            run.state.fail(node, refusal(planned.protected))


def _tell_start(
    state: RunState, session: Workset, reporter: Reporter, recipe_path: str, means: Means
) -> None:
    settled, progress = session.settled, state.progress
    count = sum(1 for n in progress.wanted if progress.is_instance(n))
    count += settled.count + settled.restorable
    reporter.start(
        {
            "event": "start",
            "recipe": recipe_path,
            "run": means.run_id,
            "instances": count,
            "jobs": means.jobs,
        }
    )


def _take_over(session: Workset, run: Run, means: Means, reporter: Reporter) -> None:
    """Account for the instances that need no deciding, and tell of them."""
    state = run.state
    back = session.restore_missing(run.outputs.place, means.blobs, lambda: not state.stopping)
    if session.graph is not state.graph:
        state.lay_out(session.graph)
    settled = session.settled
    if settled.count:
        reporter.known(settled)
    state.take_over(back, settled)


def _clean_up_crash(session: Workset, outputs: Outputs) -> None:
    """Put aside what steps of a run that was killed left half made."""
    for begun in session.store.open_begins():
        left = [p for p in begun.get("outputs", ()) if not (outputs.ours(p) or session.is_source(p))]
        outputs.set_aside(left)
        session.store.append_fail(
            {
                "recipe": begun.get("recipe", UNKNOWN),
                "instance": begun["instance"],
                "token": begun.get("token", ""),
            }
        )
    session.store.flush()


def _result(session: Workset, state: RunState, summary: Event) -> RunResult:
    from f0make.context import Context

    progress = state.progress
    steps = {
        i.name: progress.state[n].value
        for n, i in enumerate(progress.graph.instances)
        if n in progress.wanted
    }
    steps.update(session.settled.states())
    steps.update(state.results.without_instances)
    context = Context(state.contexts.everything())
    return RunResult(summary["status"], steps, context, summary, exit_code_of(state, summary))


@contextmanager
def _signals(run: Run) -> Iterator[None]:
    """INT, TERM and HUP end the run in order, a second one at once; TSTP (Ctrl-Z) stops it with its steps."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(signum: int, frame: FrameType | None) -> None:
        if run.state.interrupted:
            raise KeyboardInterrupt
        run.interrupt(signum)

    def stop(signum: int, frame: FrameType | None) -> None:
        run.suspend()

    before = {}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # A signal that was ignored from outside (nohup) stays ignored.
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, handle)
    if signal.getsignal(signal.SIGTSTP) is not signal.SIG_IGN:
        before[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, stop)
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
