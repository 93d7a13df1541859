"""`f0make why`: the decision for one instance or file, with every part of its key that differs."""

from __future__ import annotations

import sys
from typing import Any

from f0make.cli.streams import shown
from f0make.cli.verbs.plan import plan_line
from f0make.options import RunOptions


def main(name: str, options: RunOptions, extras: dict[str, Any]) -> int:
    """Print the explanation; 0 whatever the decision is."""
    from f0make.cli.reporters.plain import Plain
    from f0make.executor import Executor

    found = Executor(options, Plain()).why(extras["recipe"], extras["target"])
    if extras.get("json"):
        import json

        for entry in found:
            event = {
                "event": "why",
                "step": entry.instance.name,
                "status": entry.status,
                "reason": entry.reason,
                "changes": [{"part": c.part, "old": c.old, "new": c.new} for c in entry.changes],
            }
            print(json.dumps(event))
        return 0
    for entry in found:
        print(plan_line(entry))
        for change in entry.changes:
            print(f"  {shown(change.part)}")
            print(f"    old: {_value(change.old)}")
            print(f"    new: {_value(change.new)}")
    if not found:
        print(f"f0make: no step makes {shown(extras['target'])}; it is a file of yours", file=sys.stderr)
    return 0


def _value(text: str) -> str:
    """A value under its heading; further lines are indented."""
    return "\n         ".join(map(shown, text.split("\n"))) if text else "(none)"
