"""`f0make context`: what steps have set, and who set it when."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from f0make.cli.streams import shown
from f0make.cli.verbs.lookback import clock, last_recipe, opened
from f0make.options import RunOptions


def main(name: str, options: RunOptions, extras: dict[str, Any]) -> int:
    """Print each key with its value and its history, from the last result of every instance."""
    with opened(last_recipe(extras), options) as session:
        instances = session.instances(session.graph.order)
        records = [(i.name, session.store.latest(i.name)) for i in instances]
    entries = history(records)
    if extras.get("json"):
        for key, changes in entries.items():
            print(json.dumps({"key": key, "value": changes[-1]["after"], "history": changes}))
        return 0
    for key, changes in entries.items():
        print(f"{shown(key)} = {json.dumps(changes[-1]['after'], ensure_ascii=False)}")
        for change in changes:
            value = json.dumps(change["after"], ensure_ascii=False)
            print(
                f"  {clock(change['when'])}  by {shown(str(change['who']))} in {shown(change['step'])}: {value}"
            )
    if not entries:
        print("f0make: no step has set anything", file=sys.stderr)
    return 0


def history(records: Iterable[tuple[str, Mapping[str, Any] | None]]) -> dict[str, list[dict[str, Any]]]:
    """Key -> its changes in the order of the graph, each with `when`, `who`, `step`, `before`, `after`."""
    found: dict[str, list[dict[str, Any]]] = {}
    for instance, record in records:
        for write in (record or {}).get("writes", ()):
            changes = found.setdefault(write["key"], [])
            before = changes[-1]["after"] if changes else None
            changes.append(
                {
                    "when": write.get("when"),
                    "who": write.get("who"),
                    "step": instance,
                    "before": before,
                    "after": write["value"],
                }
            )
    return {key: found[key] for key in sorted(found)}
