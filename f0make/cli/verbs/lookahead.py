"""What the verbs that look ahead share: a recipe opened read-only and planned, and what a person should know of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from f0make.cli.bounded import unhurried
from f0make.cli.streams import shown

if TYPE_CHECKING:
    from f0make.options import Reporter, RunOptions
    from f0make.plan.decide import Planned
    from f0make.session import Session


@contextmanager
def look(
    options: RunOptions, reporter: Reporter, recipe: str, targets: Sequence[str], placed: bool = True
) -> Iterator[tuple[Session, list[Planned]]]:
    """The session and the plan of `Executor.plan`, together; the graph is grown as far as it can be known.

    What cannot be known without running is told to ``reporter``. With ``placed`` a step that must run and that no
    place takes is an error. Raises what `Session.open` raises.
    """
    from f0make.engine.dry_run import plan
    from f0make.engine.large_files import hash_large_together
    from f0make.executor import Executor
    from f0make.session import Session
    from f0make.worker.cores import usable_cores

    executor = Executor(options, reporter)
    session = Session.open(recipe, options, targets=targets)
    try:
        executor.check_request(session)
        for text in session.notes:
            reporter.note(text)
        hash_large_together(session, usable_cores(), reporter.note)
        with unhurried():
            planned = plan(session, options, *executor._caches(create=False))
        if placed:
            executor.check_places(session, planned)
        for text in unknowns(session, planned):
            reporter.note(text)
        yield session, planned
    finally:
        session.close()


def unknowns(session: Session, planned: Sequence[Planned]) -> list[str]:
    """What the plan had to leave open: steps whose instances are not known yet, fingerprints not taken."""
    waiting: dict[str, list[str]] = {}
    for step, after in session.pending.items():
        waiting.setdefault(after, []).append(step)
    found = [
        f"{', '.join(steps)}: what there is to do is known once {after} has run"
        for after, steps in waiting.items()
    ]
    judged = list(dict.fromkeys(e.instance.step.name for e in planned if e.instance.fingerprint))
    if judged:
        found.append(
            f"fingerprints were not taken; their last recorded output decided on {', '.join(judged)}"
        )
    return [shown(text) for text in found]
