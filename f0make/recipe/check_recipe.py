"""What can be said only with the whole recipe at hand, still without looking at anything else."""

from __future__ import annotations

import re
from collections.abc import Sequence

from f0make.errors import Problem, Where
from f0make.fast_dataclass import dataclass
from f0make.model import TEMPLATE_OPEN, Step
from f0make.recipe.check_foreach import variable_fault
from f0make.recipe.output_paths import normal, recipe_fault
from f0make.recipe.validate import Checker
from f0make.regex.bounded import Bounded
from f0make.suggest import did_you_mean


@dataclass(frozen=True, slots=True)
class Placed:
    """A step and its position in its file's `steps`, from 0."""

    step: Step
    index: int

    def problem(self, key: str, message: str, hint: str = "") -> Problem:
        """A problem with this step's ``key``."""
        return Problem(message, self.where(key), f"{self.step.name or f'steps[{self.index}]'}.{key}", hint)

    def where(self, key: str) -> Where | None:
        """The place of ``key``, None for a step that comes from no file."""
        where = self.step.where(key)
        return where if where.file or where.line else None


def check_together(placed: Sequence[Placed], files: Sequence[str]) -> list[Problem]:
    """What is wrong between steps, those included that have other faults, and with outputs that are recipes."""
    problems = []
    known = {this.step.name for this in placed} - {""}
    first: dict[str, Placed] = {}
    recipes = {normal(file) for file in files}
    for this in placed:
        step = this.step
        other = first.setdefault(step.name, this)
        if other is not this and step.name:
            where = other.where("name")
            problems.append(
                this.problem("name", f"the step {step.name!r} is defined twice", f"first at {where}")
            )
        if step.depends_on:
            listed = "depends_on[0]" in step.marks
            for n, name in enumerate(step.depends_on):
                if name is not None and name not in known and TEMPLATE_OPEN not in name:
                    key = f"depends_on[{n}]" if listed else "depends_on"
                    problems.append(_no_step(this, key, name, known))
        for entry in step.foreach:
            if entry.after is not None and entry.after not in known:
                problems.append(_no_step(this, f"{entry.key}.after", entry.after, known))
        for path in step.outputs:
            if TEMPLATE_OPEN not in path.text:
                fault = recipe_fault(path.text, recipes)
                if fault:
                    problems.append(this.problem(path.key, fault, f"{path.text!r} of step {step.name!r}"))
    return problems


def _no_step(this: Placed, key: str, name: str, known: set[str]) -> Problem:
    hint = did_you_mean(name, known - {this.step.name})
    return this.problem(key, f"there is no step {name!r}", hint)


def check_wildcards(wildcards: dict[str, str], checker: Checker) -> None:
    """Names that can be variables, and regular expressions that are."""
    for name, pattern in wildcards.items():
        fault = variable_fault(name)
        if fault:
            checker.at(f"wildcards.{name}", fault)
        try:
            Bounded(pattern)
        except re.error as error:
            checker.at(f"wildcards.{name}", f"{pattern!r} is not a regular expression: {error}")
