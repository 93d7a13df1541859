"""`f0make clean`: removes what f0make made, and nothing else."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from f0make.cli.streams import say, shown
from f0make.errors import Exit
from f0make.options import RunOptions
from f0make.state.identity import UNKNOWN

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
            found = sort_out(session)
            if extras.get("orphans"):
                return _remove(session, found.orphans + found.strays, dry)
            for path, owner in found.foreign:
                print(f"f0make: {shown(path)} belongs to {shown(owner)} now; it stays", file=sys.stderr)
            return _remove(session, found.declared + found.orphans, dry)
        finally:
            session.close()
    finally:
        lock.release()


@dataclass(slots=True)
class Sorted:
    """What f0make made in the workspace, as far as it concerns one recipe."""

    declared: list[str] = field(default_factory=list)
    """Paths that it made and declares."""
    orphans: list[str] = field(default_factory=list)
    """Paths that it made and that no step of it makes any more."""
    strays: list[str] = field(default_factory=list)
    """Paths of recipes that are gone themselves, which it neither makes nor reads."""
    foreign: list[tuple[str, str]] = field(default_factory=list)
    """Paths that it declares, and the other recipe that made what lies there."""


def sort_out(session: Session) -> Sorted:
    """Sort what f0make made by whose it is. A path belongs to the recipe that last made it."""
    graph, store = session.graph, session.store
    loose = {step.name for step in session.recipe.steps if step.name not in graph.by_step}
    found = Sorted()
    for path in sorted(store.made):
        recipe, maker = store.maker(path) or (UNKNOWN, "")
        ours = recipe == store.recipe
        there = recipe != UNKNOWN and os.path.lexists(os.path.join(session.workspace, recipe))
        if path in graph.producer:
            if ours or not there:
                found.declared.append(path)
            else:
                found.foreign.append((path, recipe))
        elif ours and _comes_and_goes(session, maker, loose):
            found.declared.append(path)
        elif graph.producer_of(path) is None and not session.is_source(path):
            if ours:
                found.orphans.append(path)
            elif not there and recipe != UNKNOWN:
                found.strays.append(path)
    return found


def _comes_and_goes(session: Session, maker: str, loose: set[str]) -> bool:
    """Whether ``maker`` is of a step whose instances depend on what is asked for."""
    record = session.store.latest(maker)
    step = str(record["step"]) if record and "step" in record else maker.partition("[")[0]
    if step in loose:
        return True
    return step in session.graph.by_step and maker not in session.graph.by_name and _pattern(session, step)


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
