"""`f0make clean`: removes what f0make made, and nothing else."""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from f0make import STATE
from f0make.cli.streams import say, shown
from f0make.errors import Exit, F0makeError
from f0make.files.times_and_modes import Marks
from f0make.options import RunOptions
from f0make.store.instance_identity import UNKNOWN

if TYPE_CHECKING:
    from f0make.engine.output_files import Outputs
    from f0make.session import Session


def main(name: str, options: RunOptions, extras: dict[str, Any]) -> int:
    """Remove outputs as f0make left them; what was altered since stays and is named. 1 if one cannot go."""
    from f0make.session import Session
    from f0make.store.workspace_lock import WorkspaceLock

    recipe, dry = extras["recipe"], options.dry_run
    lock = WorkspaceLock(".")
    if not dry and os.path.isdir(STATE):
        lock.acquire()
    try:
        readonly = dry or not os.path.isdir(STATE)
        # What is missing does not keep from clearing up: it may be the remedy.
        session = Session.open(recipe, options, readonly=readonly, inputs_matter=False)
        try:
            if session.pending:
                from f0make.engine.dry_run import plan

                plan(session, options, None, None)  # grows the graph by what current steps have made known
            found, unprotect = sort_out(session), bool(extras.get("unprotect"))
            _leave_to_others(session, found)
            if extras.get("orphans"):
                return _remove(session, found.orphans + found.strays, dry, unprotect)
            for path, owner in found.foreign:
                print(f"f0make: {shown(path)} belongs to {shown(owner)} now; it stays", file=sys.stderr)
            return _remove(session, found.declared + found.orphans, dry, unprotect)
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


def _leave_to_others(session: Session, found: Sorted) -> None:
    """Take out of ``found`` what another recipe that is there made, too, and still makes; say so."""
    others = _other_makers(session, {*found.orphans, *found.strays})
    for recipe in sorted({recipe for recipes in others.values() for recipe in recipes}):
        mine = {path for path, recipes in others.items() if recipe in recipes}
        for path in sorted(mine & _still_made(recipe, session, mine)):
            print(f"f0make: {shown(path)} is made by {shown(recipe)}, too; it stays", file=sys.stderr)
            found.orphans = [orphan for orphan in found.orphans if orphan != path]
            found.strays = [stray for stray in found.strays if stray != path]


def _other_makers(session: Session, paths: set[str]) -> dict[str, set[str]]:
    """Of ``paths``, those that the last result of an instance of other recipes holds -> these recipes, if they are there."""
    store = session.store
    found: dict[str, set[str]] = {}
    for recipe, instance in store.instances() if paths else ():
        if recipe in (UNKNOWN, store.recipe) or not os.path.lexists(os.path.join(session.workspace, recipe)):
            continue
        for path in paths & (store.latest(instance, recipe) or {}).get("outputs", {}).keys():
            found.setdefault(path, set()).add(recipe)
    return found


def _still_made(recipe: str, session: Session, paths: set[str]) -> set[str]:
    """Those of ``paths`` that a step of ``recipe`` makes; all of them where that cannot be told."""
    from f0make.session import Session

    options = RunOptions(workspace=session.workspace, trust=session.options.trust)
    try:
        other = Session.open(recipe, options)
    except F0makeError:
        return paths
    try:
        loose = any(step.name not in other.graph.by_step for step in other.recipe.steps)
        return paths if loose else {path for path in paths if other.graph.is_made(path)}
    finally:
        other.close()


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


def _remove(session: Session, paths: list[str], dry: bool, unprotect: bool) -> int:
    """Remove ``paths`` as far as f0make left them so; protected ones only with ``unprotect``."""
    from f0make.engine.output_files import Outputs
    from f0make.engine.promised_tokens import Tokens

    code = 0
    gone = []
    outputs = Outputs(session, Tokens(session.contents), "", print)
    kept = _Protected(session, outputs)
    for path in paths:
        try:
            if not outputs.place.kind(path):
                continue
            if not outputs.ours(path):
                print(f"f0make: {shown(path)} was altered since f0make made it; it stays", file=sys.stderr)
                continue
            if not unprotect and kept.holds(path):
                print(
                    f"f0make: {shown(path)} is protected; it stays (remove it with --force)", file=sys.stderr
                )
                continue
            if not dry:
                outputs.place.remove(path)
                session.contents.forget(path)
                gone.append(path)
            say(f"{'would remove' if dry else 'removed'} {shown(path)}")
        except (F0makeError, OSError) as error:
            print(f"f0make: {shown(str(error))}", file=sys.stderr)
            code = int(Exit.FAILED)
        except ValueError:
            continue  # no path of the workspace: no record of f0make's own says so
    outputs.close()
    if gone:
        session.store.append_gone(gone)
        session.store.flush()
    return code


class _Protected:
    """Tells which outputs are protected: declared so, or, where no step declares them any more, made read-only."""

    def __init__(self, session: Session, outputs: Outputs) -> None:
        self._session = session
        self._outputs = outputs
        self._declared = {o.path: o.protected for i in session.graph.instances for o in i.outputs}

    def holds(self, path: str) -> bool:
        """Whether ``path``, which f0make made, is protected."""
        known = self._declared.get(path)
        if known is not None:
            return known
        mode = self._outputs.place.mode(path)
        if mode & 0o222:
            return False
        # A step may have made it read-only itself; then its record says so.
        recipe, maker = self._session.store.maker(path) or (UNKNOWN, "")
        record = (self._session.store.latest(maker) if recipe == self._session.store.recipe else None) or {}
        own = Marks(record, path).mode(directory=stat.S_ISDIR(mode))
        return own is None or bool(own & 0o222)
