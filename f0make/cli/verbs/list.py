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
            }
            print(json.dumps(line))
        return 0
    width = max(len(step.name) for step in recipe.steps)
    for step in recipe.steps:
        many = f"after {pending[step.name]}" if step.name in pending else str(tally[step.name])
        text = shown(" ".join(step.description.split()))
        print(f"{step.name:<{width}}  {many:>5}  {text}".rstrip())
    if recipe.targets:
        print(f"targets: {', '.join(map(shown, recipe.targets))}")
    return 0
