"""`f0make log`: what an instance printed when it last ran."""

from __future__ import annotations

import os
import sys
from typing import Any

from f0make.cli.streams import shown, write_bytes
from f0make.cli.verbs.past import last_recipe, opened, runs
from f0make.errors import F0makeError
from f0make.execution.lognames import log_name
from f0make.options import RunOptions


def main(name: str, options: RunOptions, extras: dict[str, Any]) -> int:
    """Print the log, or one after the other with headings when ``target`` stands for many."""
    target, recipe = in_order(extras["target"], extras.get("recipe"))
    instances = remembered(target) if recipe is None else []
    if not instances:
        chosen = recipe or last_recipe(extras)
        options.targets = [target]  # a file of a pattern step has an instance only when it is asked for
        with opened(chosen, options) as session:
            instances = [instance.name for instance in session.instances(session.resolve(target))]
    if not instances:
        raise F0makeError(f"no step makes {target}")
    logs = [(instance, _read(instance)) for instance in instances]
    for instance, data in logs:
        if data is None:
            print(f"f0make: {shown(instance)} {_why_none(instance)}", file=sys.stderr)
            continue
        if len(logs) > 1:
            write_bytes(f"==> {shown(instance)} <==\n".encode("utf-8", "surrogateescape"))
        write_bytes(data)
    return 0


def in_order(target: str, recipe: str | None) -> tuple[str, str | None]:
    """(target, recipe), whichever came first: a recipe is a YAML file, a target seldom is."""
    if recipe is not None and _is_recipe(target) and not _is_recipe(recipe):
        return recipe, target
    return target, recipe


def _is_recipe(word: str) -> bool:
    return word.endswith((".yaml", ".yml")) and os.path.isfile(word)


def remembered(target: str) -> list[str]:
    """Instances that the state knows under this name, whatever has become of their recipe."""
    from f0make.state.store import Store

    with Store(".", readonly=True) as store:
        known = dict.fromkeys(store.instances())
        maker = store.maker(os.path.normpath(target))
    for run in runs(None):
        known.update(dict.fromkeys(run.get("steps") or ()))
    if target in known:
        return [target]
    members = [instance for instance in known if instance.startswith(f"{target}[")]
    return members or ([maker] if maker else [])


def _read(instance: str) -> bytes | None:
    path = os.path.join(".f0make", "logs", log_name(instance))
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise F0makeError(f"{path}: {error.strerror}") from None


def _why_none(instance: str) -> str:
    from f0make.state.store import Store

    with Store(".", readonly=True) as store:
        ran = store.latest(instance) is not None or store.last_fail(instance) is not None
    return "printed nothing" if ran else "has not run here"
