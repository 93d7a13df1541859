"""`f0make list`: the steps of a recipe and its targets."""

from __future__ import annotations

from collections import Counter
from typing import Any

from f0make.cli.streams import shown
from f0make.options import RunOptions


def main(name: str, options: RunOptions, extras: dict[str, Any]) -> int:
    """Print each step with how many instances it has and its description; then the targets."""
    from f0make.session import Session

    session = Session.open(extras["recipe"], options)
    try:
        recipe = session.recipe
        tally = Counter(instance.step.name for instance in session.graph.instances)
        pending = session.pending
    finally:
        session.close()
    if extras.get("json"):
        import json

        for step in recipe.steps:
            line = {
                "step": step.name,
                "type": step.type,
                "instances": tally[step.name],
                "description": step.description,
                "target": step.name in recipe.targets,
                **step.extra,
            }
            print(json.dumps(line))
        return 0
    rows = [
        (
            step.name,
            f"after {pending[step.name]}" if step.name in pending else str(tally[step.name]),
            shown(" ".join(step.description.split())),
        )
        for step in recipe.steps
    ]
    wide, number = (max(len(row[column]) for row in rows) for column in (0, 1))
    for step_name, many, text in rows:
        print(f"{step_name:<{wide}}  {many:>{number}}  {text}".rstrip())
    if recipe.targets:
        print(f"targets: {', '.join(map(shown, recipe.targets))}")
    return 0
