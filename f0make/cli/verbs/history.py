"""`f0make history`: past runs, oldest first."""

from __future__ import annotations

import json
import sys
from typing import Any

from f0make.cli.reporters.wording import counts, duration, energy_words
from f0make.cli.streams import shown
from f0make.cli.verbs.lookback import clock, runs
from f0make.options import RunOptions


def main(name: str, options: RunOptions, extras: dict[str, Any]) -> int:
    """Print a line for each run."""
    recipe, none = extras.get("recipe"), True
    if extras.get("json"):
        from f0make.report.run_facts import measures
        from f0make.store.record_store import Store

        with Store(".", readonly=True) as store:
            taken = measures(runs(recipe), store)
        for run in runs(recipe):
            print(json.dumps({**run, "instances": taken.get(str(run.get("run")), {})}))
    else:
        for run in runs(recipe):
            none = False
            took = duration(float(run.get("seconds", 0)))
            status, recipe = str(run.get("status", "?")), shown(str(run.get("recipe", "?")))
            print(
                f"{clock(run.get('started'))}  {status:<11}  {took:>9}  {recipe}  {counts(run)}{_energy(run)}"
            )
    if none and not extras.get("json"):
        print("f0make: no run yet", file=sys.stderr)
    return 0


def _energy(run: dict[str, Any]) -> str:
    if run.get("energy_kwh") is None:
        return ""
    return f"  {energy_words(float(run['energy_kwh']), float(run.get('carbon_g') or 0))}"
