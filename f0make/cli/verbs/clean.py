"""`f0make clean`: removes what f0make made, and nothing else."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from f0make.cli.streams import say, shown
from f0make.cli.verbs.past import runs
from f0make.errors import Exit
from f0make.options import RunOptions

if TYPE_CHECKING:
    from f0make.session import Session


def main(name: str, options: RunOptions, extras: dict[str, Any]) -> int:
    """Remove outputs as f0make left them; what was altered since stays and is named. 1 if one cannot go."""
    from f0make.session import Session
    from f0make.state.lock import WorkspaceLock

    recipe, dry = extras["recipe"], options.dry_run
    lock = WorkspaceLock(".")
    if not dry and os.path.isdir(".f0make"):
        lock.acquire()
    try:
        session = Session.open(recipe, options, readonly=dry or not os.path.isdir(".f0make"))
        try:
            if session.pending:
                from f0make.engine.planning import plan

                plan(session, options, None, None)  # grows the graph by what current steps have made known
            declared, orphans = sort_out(session, recipe)
            paths = orphans if extras.get("orphans") else declared + orphans
            return _remove(session, paths, dry)
        finally:
            session.close()
    finally:
        lock.release()


def sort_out(session: Session, recipe: str) -> tuple[list[str], list[str]]:
    """What f0make made for ``recipe``: paths that a step of it declares, and paths that none does any more.

    Paths that were made for another recipe of the workspace are in neither list.
    """
    graph, store = session.graph, session.store
    asked = {path for instance in graph.instances for path in instance.inputs}
    loose = {step.name for step in session.recipe.steps if step.name not in graph.by_step}
    declared, orphans = [], []
    belongs = _Origin(recipe)
    for path in sorted(store.made):
        if path in graph.producer:
            declared.append(path)
            continue
        maker = store.maker(path)
        record = store.latest(maker) if maker else None
        step = str(record["step"]) if record and "step" in record else (maker or "").partition("[")[0]
        if not belongs.to(record):
            continue
        if step in loose or (
            step in graph.by_step and maker not in graph.by_name and _pattern(session, step)
        ):
            declared.append(path)  # instances of this step come and go with what is asked for
        elif graph.producer_of(path) is None and path not in asked:
            orphans.append(path)
    return declared, orphans


def _pattern(session: Session, step_name: str) -> bool:
    """Whether the step is instantiated for the files that are asked for."""
    step = session.recipe.step(step_name)
    if step is None:
        return False
    bound = {variable for entry in step.foreach for variable in entry.variables}
    return any(
        not set(instance.variables) <= bound
        for instance in session.instances(session.graph.by_step[step_name])
    )


class _Origin:
    """Tells whether a record was made by a run of this recipe, or of one that is gone."""

    def __init__(self, recipe: str) -> None:
        here = os.path.abspath(recipe)
        self._others: set[str] = set()
        self._known: set[str] = set()
        for run in runs(None):
            made_by = os.path.abspath(str(run.get("recipe", "")))
            self._known.add(str(run.get("run")))
            if made_by != here and os.path.exists(made_by):
                self._others.add(str(run.get("run")))

    def to(self, record: dict[str, Any] | None) -> bool:
        """True unless another recipe's run made it, or may have."""
        run = str((record or {}).get("run"))
        return run not in self._others and (run in self._known or not self._others)


def _remove(session: Session, paths: list[str], dry: bool) -> int:
    from f0make.files import place
    from f0make.files.digest import FileError

    code = 0
    gone = []
    for path in paths:
        try:
            present = session.contents.token(path)
            if present is None:
                continue
            if present != session.store.made[path]:
                print(f"f0make: {shown(path)} was altered since f0make made it; it stays", file=sys.stderr)
                continue
            if not dry:
                place.remove(session.workspace, path)
                session.contents.forget(path)
                gone.append(path)
            say(f"{'would remove' if dry else 'removed'} {shown(path)}")
        except (FileError, OSError) as error:
            print(f"f0make: {shown(str(error))}", file=sys.stderr)
            code = int(Exit.FAILED)
    if gone:
        session.store.append_gone(gone)
        session.store.flush()
    return code
