"""One run over a workset: what is told at its start, the loop, and what is kept at its end."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from f0make.engine.finalize import exit_code_of, save, summary_of
from f0make.engine.fingerprints import Taken
from f0make.engine.large_files import hash_large_together
from f0make.engine.node_state import State
from f0make.engine.run import Run
from f0make.fast_dataclass import dataclass
from f0make.result import RunResult
from f0make.store.instance_identity import UNKNOWN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.backends.ssh.host import Host
    from f0make.cache.blobs import Blobs
    from f0make.cache.platform_keys import ForPlatform
    from f0make.engine.label_check import Places
    from f0make.governor.governor import Governor
    from f0make.options import Event, Reporter, RunOptions
    from f0make.run_records import Settled
    from f0make.worker.bundle import Backend
    from f0make.workset import Workset


@dataclass(slots=True)
class Means:
    """What a run has to work with."""

    places: Callable[[], Places]
    """Tells where steps may run."""
    jobs: int
    hosts: Sequence[Host]
    backend: Callable[[], Backend]
    """Makes it, when something must run."""
    blobs: Blobs | None
    shared: ForPlatform | None
    governor: Governor | None


def drive(
    session: Workset,
    options: RunOptions,
    reporter: Reporter,
    recipe_path: str,
    targets: list[str],
    means: Means,
    began: float,
) -> RunResult:
    """Bring ``targets`` of ``session`` up to date; ``began`` is monotonic.

    Raises RecipeError when strictyaml refuses the recipe after all, and what the state, the backend or a budget
    cannot bear.
    """
    session.confirm()
    started = time.time()
    told = len(session.store.damage)
    run_id = time.strftime("%Y%m%d-%H%M%S", time.localtime(started)) + f"-{os.getpid()}"
    run = Run(
        session,
        options,
        reporter,
        run_id=run_id,
        jobs=means.jobs,
        backend=means.backend,
        blobs=means.blobs,
        shared=means.shared,
        fingerprints=Taken(session.workspace, dict(os.environ)),
        governor=means.governor,
        hosts=means.hosts,
        places=means.places,
    )
    watch = getattr(reporter, "watch", None)
    if watch is not None:
        watch(run.scheduler.monitor)
    _tell_start(run, recipe_path, means.jobs)
    try:
        hash_large_together(session, means.jobs, reporter.note, lambda: bool(run.interrupted))
        with _signals(run):
            _take_over(session, run)
            _clean_up_crash(session, run)
            _refuse_protected(session, run, means)
            run.run()
    finally:
        run.outputs.close()
        if means.shared is not None:
            means.shared.close(lambda: bool(run.interrupted))
            run.asking.tell()
    summary = summary_of(run, time.monotonic() - began)
    for text in (*run.outputs.handover.told(), run.disk_full, run.unreachable):
        if text:
            reporter.note(text)
    for text in session.store.damage[told:]:
        reporter.note(text)
    save(run, summary, recipe_path, targets, started)
    reporter.summary(summary)
    return _result(run, summary)


def _refuse_protected(session: Workset, run: Run, means: Means) -> None:
    """Fail, before anything starts, what would have to replace a protected output whatever the steps before it make."""
    outputs = [
        o for n in run.progress.wanted if run.progress.is_instance(n) for o in run.graph.instances[n].outputs
    ]
    protected = [output for output in outputs if output.protected]
    if not protected or run.outputs.protected_among(protected) is None:
        return
    from f0make.engine.dry_run import foresee
    from f0make.engine.output_files import refusal

    for planned in foresee(session, run.options, means.blobs, means.shared):
        node = run.graph.by_name.get(planned.instance.name)
        if planned.protected and planned.certain and node is not None:
            run.fail(node, refusal(planned.protected))


def _tell_start(run: Run, recipe_path: str, jobs: int) -> None:
    settled = run.session.settled
    count = sum(1 for n in run.progress.wanted if run.progress.is_instance(n))
    count += settled.count + settled.restorable
    run.reporter.start(
        {"event": "start", "recipe": recipe_path, "run": run.run_id, "instances": count, "jobs": jobs}
    )


def _take_over(session: Workset, run: Run) -> None:
    """Account for the instances that need no deciding, and tell of them."""
    run.back = session.restore_missing(run.outputs.place, run.blobs, lambda: not run.stopping())
    if session.graph is not run.graph:
        run.lay_out(session.graph)
    run.restored(name for name in run.back if name not in session.graph.by_name)
    settled = session.settled
    if settled.count:
        _tell_settled(run.reporter, settled)
    run.counts.update({State.CURRENT: settled.current, State.SKIPPED: settled.skipped})
    run.tally.saved_seconds += settled.saved_seconds
    run.tally.saved_energy_kwh += settled.saved_energy
    if settled.skipped:
        run.steps.update((name, s) for name, s in settled.states().items() if s == "skipped")


def _tell_settled(reporter: Reporter, settled: Settled) -> None:
    """Tell of the instances that nothing has changed for, all at once where the reporter can take that."""
    known = getattr(reporter, "known", None)
    if known is not None:
        known(settled)
    else:
        from json import loads

        for line in settled.lines():
            reporter.step(loads(line))


def _clean_up_crash(session: Workset, run: Run) -> None:
    """Put aside what steps of a run that was killed left half made."""
    for begun in session.store.open_begins():
        left = [p for p in begun.get("outputs", ()) if not (run.outputs.ours(p) or session.is_source(p))]
        run.outputs.set_aside(left)
        session.store.append_fail(
            {
                "recipe": begun.get("recipe", UNKNOWN),
                "instance": begun["instance"],
                "token": begun.get("token", ""),
            }
        )
    session.store.flush()


def _result(run: Run, summary: Event) -> RunResult:
    from f0make.context import Context

    progress = run.progress
    steps = {
        i.name: progress.state[n].value
        for n, i in enumerate(progress.graph.instances)
        if n in progress.wanted
    }
    steps.update(run.session.settled.states())
    steps.update(run.without_instances)
    context = Context(run.contexts.everything())
    return RunResult(summary["status"], steps, context, summary, exit_code_of(run, summary))


@contextmanager
def _signals(run: Run) -> Iterator[None]:
    """INT, TERM and HUP end the run in order, a second one at once; TSTP (Ctrl-Z) stops it with its steps."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(signum: int, frame: FrameType | None) -> None:
        if run.interrupted:
            raise KeyboardInterrupt
        run.interrupt(signum)

    def stop(signum: int, frame: FrameType | None) -> None:
        run.suspend()

    names = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    before = {}
    for number in names:
        # A signal that was ignored from outside (nohup) stays ignored.
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, handle)
    if hasattr(signal, "SIGTSTP") and signal.getsignal(signal.SIGTSTP) is not signal.SIG_IGN:
        before[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, stop)
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
