"""`f0make validate`: everything about a recipe that can be known without running it."""

from __future__ import annotations

import sys
from typing import Any

from f0make.cli.streams import shown
from f0make.options import RunOptions


def main(name: str, options: RunOptions, extras: dict[str, Any]) -> int:
    """Say that the recipe is in order, with its size. Raises RecipeError with all that is wrong."""
    from f0make.session import Session

    session = Session.open(extras["recipe"], options, keep_steps=True)
    try:
        steps, instances = len(session.recipe.steps), len(session.graph.instances)
        size = f"{_count(steps, 'step')}, {_count(instances, 'instance')}"
        print(f"{shown(extras['recipe'])}: ok ({size})")
        for step, after in session.pending.items():
            print(f"f0make: the instances of {step} are known once {after} has run", file=sys.stderr)
    finally:
        session.close()
    return 0


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
