"""`f0make status`: how the last run ended, and what it left undone."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from f0make import STATE
from f0make.cli.reporters.wording import summary_line, usage_line
from f0make.cli.streams import shown
from f0make.cli.verbs.lookback import clock, known_recipes, last_run, runs, say_which
from f0make.options import RunOptions
from f0make.store.instance_identity import recipe_of
from f0make.store.log_names import log_name

LISTED = ("failed", "cancelled", "skipped")
"""States that deserve a line each; of the others the numbers say enough."""


def main(name: str, options: RunOptions, extras: dict[str, Any]) -> int:
    """Print the last run (of the recipe, when one is given); with `-v` every instance that is not current."""
    last = last_run(extras.get("recipe"))
    if last is not None and not extras.get("recipe"):
        say_which(recipe_of(str(last.get("recipe", "")), "."), known_recipes())
    going = _going_on()
    if going is not None:
        print(f"f0make: a run is going on (process {going})", file=sys.stderr)
    if last is None:
        print("f0make: no run yet", file=sys.stderr)
        return 0
    if extras.get("json"):
        print(json.dumps(last))
        return 0
    print(f"{shown(str(last.get('recipe', '?')))}  {clock(last.get('started'))}")
    print(summary_line(last))
    used = usage_line(last)
    if used:
        print(used)
    steps, recipe = last.get("steps"), recipe_of(str(last.get("recipe", "")), ".")
    for instance, status in steps.items() if isinstance(steps, dict) else ():
        if status not in LISTED and not options.verbose:
            continue
        log = os.path.join(STATE, "logs", log_name(recipe, instance))
        more = (
            _why(last, instance) + (f"  ({log})" if os.path.exists(log) else "") if status == "failed" else ""
        )
        print(f"{status:<9} {shown(instance)}{more}")
    return 0


def _why(run: dict[str, Any], instance: str) -> str:
    """Why ``instance`` failed, as the run has kept it."""
    failures = run.get("failures")
    about = failures.get(instance) if isinstance(failures, dict) else None
    reason = about.get("reason") if isinstance(about, dict) else None
    return f"  {shown(str(reason))}" if reason else ""


def _going_on() -> int | None:
    """The process of a run that has not ended yet, as far as can be told without touching its lock."""
    import socket

    from f0make.store.workspace_lock import read_owner

    owner = read_owner(".")
    if owner is None or owner["host"] != socket.gethostname() or owner.get("argv", ["run"]) != ["run"]:
        return None
    ended = [run["started"] for run in runs(None) if isinstance(run.get("started"), int | float)]
    if ended and ended[-1] >= owner["started"]:
        return None
    try:
        os.kill(owner["pid"], 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return int(owner["pid"])
