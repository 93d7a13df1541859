"""What the verbs that look back share: past runs, the recipe of the last one, a recipe opened read-only."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from f0make.cli.streams import shown
from f0make.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from f0make.options import RunOptions
    from f0make.session import Session


def runs(recipe: str | None) -> Iterator[dict[str, Any]]:
    """Past runs, oldest first, one at a time: each may name 100,000 instances.

    Only those of ``recipe`` when it is given, which may be gone since. Raises RecipeError where there is neither a run
    of it nor such a file.
    """
    from f0make.store.instance_identity import recipe_of
    from f0make.store.run_history import each_run

    damage: list[str] = []
    wanted = recipe_of(recipe, ".") if recipe is not None else None
    known = False
    for run in each_run(".", damage):
        if wanted is None or recipe_of(str(run.get("recipe", "")), ".") == wanted:
            known = True
            yield run
    for text in damage:
        print(f"f0make: {text}", file=sys.stderr)
    if recipe is not None and not known:
        _must_be_readable(recipe)


def last_run(recipe: str | None) -> dict[str, Any] | None:
    """The last run (of ``recipe``, when it is given), if there was one."""
    last = None
    for run in runs(recipe):
        last = run
    return last


def _must_be_readable(recipe: str) -> None:
    from f0make.errors import RecipeError
    from f0make.recipe.read_source import UnreadableError, read_text

    try:
        read_text(recipe, recipe)
    except UnreadableError as error:
        raise RecipeError([error.problem]) from None


def known_recipes() -> list[str]:
    """The recipes that were run here and that still exist, the last first; those that are gone behind them."""
    import os

    from f0make.store.instance_identity import recipe_of

    named = [
        recipe_of(text, ".") for text in _in_order(str(r["recipe"]) for r in runs(None) if r.get("recipe"))
    ]
    return sorted(dict.fromkeys(reversed(named)), key=lambda recipe: not os.path.lexists(recipe))


def _in_order(texts: Iterable[str]) -> list[str]:
    """Each of ``texts`` once, by where it stands last."""
    last: dict[str, None] = {}
    for text in texts:
        last.pop(text, None)
        last[text] = None
    return list(last)


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
