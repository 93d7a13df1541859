"""`f0make plan`: what a run would do, and why."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from f0make.cli.reporters.wording import PLANNED, STATES, counts
from f0make.cli.streams import shown
from f0make.cli.verbs.look import look
from f0make.options import RunOptions

if TYPE_CHECKING:
    from f0make.plan.decide import Planned


def main(name: str, options: RunOptions, extras: dict[str, Any]) -> int:
    """Print the plan; 1 with `--exit-code` when there is work."""
    from f0make.cli.reporters.plain import Plain

    began = time.monotonic()
    reporter = Plain(quiet=options.quiet)
    with look(options, reporter, extras["recipe"], options.targets) as (_, planned):
        pass
    tally = Counter(entry.status for entry in planned)
    if extras.get("json"):
        _print_json(extras["recipe"], planned, tally, time.monotonic() - began)
    else:
        _print_text(planned, tally, options)
    return int(bool(extras.get("exit_code")) and bool(tally["run"] or tally["restore"]))


def _print_json(recipe: str, planned: Sequence[Planned], tally: Counter[str], seconds: float) -> None:
    import json

    lines: list[dict[str, Any]] = [
        {"event": "start", "recipe": recipe, "instances": len(planned), "plan": True}
    ]
    lines += [
        {"event": "step", "step": entry.instance.name, "status": entry.status, "reason": entry.reason}
        for entry in planned
    ]
    # a plan's summary has the fields of a run's too: nothing ran
    nothing = dict.fromkeys(STATES, 0)
    will = {status: tally[status] for status in PLANNED}
    lines.append({"event": "summary", "status": "ok", **nothing, **will, "seconds": round(seconds, 3)})
    for line in lines:
        sys.stdout.write(json.dumps(line) + "\n")


def _print_text(planned: Sequence[Planned], tally: Counter[str], options: RunOptions) -> None:
    for entry in planned:
        if options.verbose or (entry.status in ("run", "restore") and not options.quiet):
            print(plan_line(entry))
    if not options.quiet:
        work = tally["run"] or tally["restore"]
        print(f"f0make: {'' if work else 'nothing to do: '}{counts(tally, PLANNED)}", file=sys.stderr)


def plan_line(entry: Planned) -> str:
    """`run      count[book=moby]  (input texts/moby.txt changed)`."""
    reason = f"  ({shown(entry.reason)})" if entry.reason else ""
    return f"{entry.status:<8} {shown(entry.instance.name)}{reason}"
