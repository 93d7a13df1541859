"""What the verbs that look back share: past runs, the recipe of the last one, a recipe opened read-only."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from f0make.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from f0make.options import RunOptions
    from f0make.session import Session


def runs(recipe: str | None) -> list[dict[str, Any]]:
    """Past runs, oldest first; only those of ``recipe`` when it is given."""
    import os

    from f0make.state.runs import read_runs

    damage: list[str] = []
    found = read_runs(".", damage)
    for text in damage:
        print(f"f0make: {text}", file=sys.stderr)
    if recipe is None:
        return found
    wanted = os.path.abspath(recipe)
    return [run for run in found if os.path.abspath(str(run.get("recipe", ""))) == wanted]


def last_recipe(extras: Mapping[str, Any]) -> str:
    """The recipe that was given, or that of the last run. Raises UsageError when there is neither."""
    given = extras.get("recipe")
    if given:
        return str(given)
    for run in reversed(runs(None)):
        if run.get("recipe"):
            return str(run["recipe"])
    raise UsageError("nothing was run here yet; say which recipe is meant (--recipe RECIPE)")


@contextmanager
def opened(recipe: str, options: RunOptions) -> Iterator[Session]:
    """The recipe as a session that writes nothing."""
    from f0make.session import Session

    session = Session.open(recipe, options)
    try:
        yield session
    finally:
        session.close()


def clock(seconds: Any) -> str:
    """A Unix time as local date and time."""
    if not isinstance(seconds, int | float):
        return "?" * 4
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
