"""`f0make plan`: what a run would do, and why."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from f0make.cli.reporters.wording import PLANNED, STATES, counts, duration, energy_words
from f0make.cli.streams import shown
from f0make.cli.verbs.lookahead import look
from f0make.options import RunOptions

if TYPE_CHECKING:
    from f0make.plan.decide import Planned
    from f0make.session import Session


def main(name: str, options: RunOptions, extras: dict[str, Any]) -> int:
    """Print the plan; 1 with `--exit-code` when there is work."""
    from f0make.cli.reporters.plain import Plain

    began = time.monotonic()
    reporter = Plain(quiet=options.quiet)
    with look(options, reporter, extras["recipe"], options.targets) as (session, planned):
        tally = Counter(entry.status for entry in planned)
        told = extras.get("json") or not options.quiet
        predicted = _predicted(session, planned, options) if tally["run"] and told else {}
    if extras.get("json"):
        _print_json(extras["recipe"], planned, tally, predicted, time.monotonic() - began)
    else:
        _print_text(planned, tally, predicted, options)
    return int(bool(extras.get("exit_code")) and bool(tally["run"] or tally["restore"]))


def _predicted(session: Session, planned: Sequence[Planned], options: RunOptions) -> dict[str, Any]:
    from f0make.engine.forecast import forecast

    return forecast(session, planned, options)


def _print_json(
    recipe: str,
    planned: Sequence[Planned],
    tally: Counter[str],
    predicted: Mapping[str, Any],
    seconds: float,
) -> None:
    import json

    lines: list[dict[str, Any]] = [
        {"event": "start", "recipe": recipe, "instances": len(planned), "plan": True}
    ]
    lines += [
        {
            "event": "step",
            "step": entry.instance.name,
            "status": entry.status,
            "reason": entry.why,
            **({"protected": entry.protected} if entry.protected else {}),
        }
        for entry in planned
    ]
    # a plan's summary has the fields of a run's too: nothing ran
    nothing = dict.fromkeys(STATES, 0)
    will = {status: tally[status] for status in PLANNED}
    summary = {"event": "summary", "status": "ok", **nothing, **will, "seconds": round(seconds, 3)}
    lines.append({**summary, **predicted})
    for line in lines:
        sys.stdout.write(json.dumps(line) + "\n")


def _print_text(
    planned: Sequence[Planned], tally: Counter[str], predicted: Mapping[str, Any], options: RunOptions
) -> None:
    for entry in planned:
        if options.verbose or (entry.status in ("run", "restore") and not options.quiet):
            print(plan_line(entry))
    if not options.quiet:
        work = tally["run"] or tally["restore"]
        print(f"f0make: {'' if work else 'nothing to do: '}{counts(tally, PLANNED)}", file=sys.stderr)
        for entry in planned:
            if entry.protected and entry.certain:
                print(f"f0make: a run refuses to replace {shown(entry.protected)}", file=sys.stderr)
        if predicted:
            energy = energy_words(predicted["predicted_energy_kwh"], predicted["predicted_carbon_g"])
            took = duration(predicted["predicted_seconds"])
            guess = "" if predicted["predicted_known"] else " (a guess: nothing of it ever ran)"
            print(f"f0make: predicted to take {took}, {energy}{guess}", file=sys.stderr)


def plan_line(entry: Planned) -> str:
    """`run      count[book=moby]  (input texts/moby.txt changed)`."""
    reason = f"  ({shown(entry.why)})" if entry.reason else ""
    return f"{entry.status:<8} {shown(entry.instance.name)}{reason}"
