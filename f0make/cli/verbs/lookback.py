"""What the verbs that look back share: past runs, the recipe of the last one, a recipe opened read-only."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from f0make.cli.streams import shown
from f0make.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from f0make.options import RunOptions
    from f0make.session import Session


def runs(recipe: str | None) -> list[dict[str, Any]]:
    """Past runs, oldest first; only those of ``recipe`` when it is given."""
    from f0make.store.instance_identity import recipe_of
    from f0make.store.run_history import read_runs

    damage: list[str] = []
    found = read_runs(".", damage)
    for text in damage:
        print(f"f0make: {text}", file=sys.stderr)
    if recipe is None:
        return found
    wanted = recipe_of(recipe, ".")
    return [run for run in found if recipe_of(str(run.get("recipe", "")), ".") == wanted]


def known_recipes() -> list[str]:
    """The recipes that were run here and that still exist, the last first; those that are gone behind them."""
    import os

    from f0make.store.instance_identity import recipe_of

    named = [recipe_of(str(run["recipe"]), ".") for run in reversed(runs(None)) if run.get("recipe")]
    return sorted(dict.fromkeys(named), key=lambda recipe: not os.path.lexists(recipe))


def last_recipe(extras: Mapping[str, Any]) -> str:
    """The recipe that was given, or that of the last run, which is said where there are others.

    Raises UsageError when there is neither.
    """
    given = extras.get("recipe")
    if given:
        return str(given)
    known = known_recipes()
    if not known:
        raise UsageError("nothing was run here yet; say which recipe is meant (--recipe RECIPE)")
    say_which(known[0], known)
    return known[0]


def say_which(chosen: str, known: Sequence[str]) -> None:
    """Where several recipes were run, say that ``chosen`` is meant, because none was named."""
    others = [shown(recipe) for recipe in known if recipe != chosen]
    if others:
        print(
            f"f0make: of {shown(chosen)}; {', '.join(others)} {'was' if len(others) == 1 else 'were'} run here, too "
            "(name the recipe that is meant)",
            file=sys.stderr,
        )


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
