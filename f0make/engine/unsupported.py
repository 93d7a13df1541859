"""What a recipe asks for and this version does not have: refused, never ignored. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from f0make.errors import Problem
from f0make.model import TEMPLATE_OPEN, Step
from f0make.session import Session

HERE = "local"
"""The label of this machine in `runs_on`."""


def unsupported(session: Session) -> list[Problem]:
    """A problem for each step wanted that asks for another place than this machine."""
    problems = []
    for step, label in _labels(session):
        if label != HERE:
            problems.append(
                Problem(
                    f"no host has the label {label!r}: this version of f0make runs everything on this machine",
                    step.where("runs_on"),
                    f"{step.name}.runs_on",
                    f"leave it out, or say {HERE!r}",
                )
            )
    return list(dict.fromkeys(problems))


def _labels(session: Session) -> Iterator[tuple[Step, str]]:
    """The labels of all that is wanted; of steps that have no instances yet, those without templates."""
    for index in sorted(session.wanted()):
        if index < len(session.graph.instances):
            instance = session.graph.instances[index]
            for label in instance.runs_on:
                yield instance.step, label
    for name in session.pending:
        step = session.recipe.step(name)
        if step is not None:
            yield from ((step, label) for label in step.runs_on if TEMPLATE_OPEN not in label)
