"""`f0make log`: what an instance printed when it last ran."""

from __future__ import annotations

import os
import sys
from typing import Any, BinaryIO

from f0make import STATE
from f0make.cli.streams import shown, write_bytes
from f0make.cli.verbs.lookback import known_recipes, last_recipe, opened, runs, say_which
from f0make.errors import UsageError
from f0make.files.open_regular import open_regular
from f0make.options import RunOptions
from f0make.store.instance_identity import recipe_of
from f0make.store.log_names import attempt_log, log_name

_PIECE = 1 << 20
"""Bytes of a log that are held at one time: a step may have printed gigabytes."""


def main(name: str, options: RunOptions, extras: dict[str, Any]) -> int:
    """Print the log, or one after the other with headings when ``target`` stands for many."""
    target, given = in_order(extras["target"], extras.get("recipe"))
    recipe, instances = "", list[str]()
    if given is None or not os.path.exists(given):
        recipe, instances = remembered(target, given)
    if not instances:
        chosen = given or last_recipe(extras)
        options.targets = [target]  # a file of a pattern step has an instance only when it is asked for
        with opened(chosen, options) as session:
            recipe = session.store.recipe
            instances = [instance.name for instance in session.instances(session.resolve(target))]
    if not instances:
        raise UsageError(f"no step makes {target}")
    attempt = _attempt(extras.get("attempt"))
    for instance in instances:
        path = os.path.join(STATE, "logs", log_name(recipe, instance))
        try:
            with open(open_regular(_of_attempt(path, attempt)), "rb") as file:
                if len(instances) > 1:
                    write_bytes(f"==> {shown(instance)} <==\n".encode("utf-8", "surrogateescape"))
                _say(file)
        except FileNotFoundError:
            why = _why_none(recipe, instance) if attempt is None else f"has no log of attempt {attempt}"
            print(f"f0make: {shown(instance)} {why}", file=sys.stderr)
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise
            raise UsageError(f"{path}: {error.strerror}") from None
    return 0


def _attempt(text: object) -> int | None:
    """The number after `--attempt`; None: the last one. Raises UsageError."""
    if text is None:
        return None
    if not str(text).isdecimal() or not 0 < len(str(text)) < 6 or int(str(text)) == 0:
        raise UsageError(f"--attempt {text}: expected a number from 1")
    return int(str(text))


def _of_attempt(path: str, attempt: int | None) -> str:
    """Where the log of ``attempt`` lies: the last one's has no number in its name."""
    if attempt is None:
        return path
    earlier = 0
    while os.path.exists(attempt_log(path, earlier + 1)):
        earlier += 1
    return path if attempt == earlier + 1 else attempt_log(path, attempt)


def _say(file: BinaryIO) -> None:
    """A log as it is, for a file or a pipe; for a terminal what would act on it is written out. Piece by piece."""
    if not sys.stdout.isatty():
        while data := file.read(_PIECE):
            write_bytes(data)
        return
    text = ""
    for line in iter(lambda: file.readline(_PIECE), b""):
        text = line.decode("utf-8", "surrogateescape").replace("\r\n", "\n")
        print(text, end="")
    if not text.endswith("\n"):
        print()


def in_order(target: str, recipe: str | None) -> tuple[str, str | None]:
    """(target, recipe), whichever came first: a recipe is a YAML file, a target seldom is."""
    if recipe is not None and _is_recipe(target) and not _is_recipe(recipe):
        return recipe, target
    return target, recipe


def _is_recipe(word: str) -> bool:
    return word.endswith((".yaml", ".yml")) and os.path.isfile(word)


def remembered(target: str, given: str | None = None) -> tuple[str, list[str]]:
    """(recipe, instances) that the state knows under this name, whatever has become of the recipe.

    Where several recipes know the name, and none is ``given``, the one that was run last is meant, which is said.
    """
    from f0make.store.record_store import Store

    with Store(".", readonly=True) as store:
        known = dict.fromkeys(store.instances())
        maker = store.maker(os.path.normpath(target))
    for run in runs(None):
        recipe = recipe_of(str(run.get("recipe", "")), ".")
        known.update(dict.fromkeys((recipe, instance) for instance in run.get("steps") or ()))
    found: dict[str, list[str]] = {}
    for recipe, instance in known:
        if instance == target or instance.startswith(f"{target}["):
            found.setdefault(recipe, []).append(instance)
    if not found and maker is not None:
        found = {maker[0]: [maker[1]]}
    if given is not None:
        wanted = recipe_of(given, ".")
        return wanted, found.get(wanted, [])
    if not found:
        return "", []
    recent = known_recipes()
    ranked = sorted(found, key=lambda recipe: recent.index(recipe) if recipe in recent else len(recent))
    say_which(ranked[0], ranked)
    return ranked[0], found[ranked[0]]


def _why_none(recipe: str, instance: str) -> str:
    from f0make.store.record_store import Store

    with Store(".", readonly=True, recipe=recipe) as store:
        ran = store.latest(instance) is not None or store.last_fail(instance) is not None
    return "printed nothing" if ran else "has not run here"
