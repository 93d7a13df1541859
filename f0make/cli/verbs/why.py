"""`f0make why`: the decision for one instance or file, with every part of its key that differs."""

from __future__ import annotations

import os
from typing import Any

from f0make.cli.streams import shown
from f0make.cli.verbs.lookahead import look
from f0make.cli.verbs.plan import plan_line
from f0make.options import RunOptions


def main(name: str, options: RunOptions, extras: dict[str, Any]) -> int:
    """Print the explanation; 0 whatever the decision is."""
    from f0make.cli.reporters.plain import Plain

    target = extras["target"]
    reporter = Plain()
    with look(options, reporter, extras["recipe"], [target], placed=False) as (session, planned):
        names = {instance.name for instance in session.instances(session.resolve(target))}
        found = [entry for entry in planned if entry.instance.name in names]
        if not found and target not in session.pending:
            known = "; it is a file of yours" if os.path.lexists(target) else " as far as is known"
            reporter.note(f"no step makes {target}{known}")
    if extras.get("json"):
        import json

        for entry in found:
            event = {
                "event": "why",
                "step": entry.instance.name,
                "status": entry.status,
                "reason": entry.why,
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
    return 0


def _value(text: str) -> str:
    """A value under its heading; further lines are indented."""
    return "\n         ".join(map(shown, text.split("\n"))) if text else "(none)"
