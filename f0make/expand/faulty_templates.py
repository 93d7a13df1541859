"""Templates of steps that are at fault otherwise: what is wrong with them too, as far as their text tells."""

from __future__ import annotations

from collections.abc import Sequence

from f0make.errors import Problem
from f0make.expand.declared_paths import Paths
from f0make.expand.problem_collector import Problems
from f0make.expand.step_plan import StepPlan
from f0make.model import Recipe, Step


def template_problems(recipe: Recipe, workspace: str, faults: Sequence[Problem]) -> list[Problem]:
    """Broken expressions and unknown names in ``recipe.faulty``, of which ``faults`` have been reported.

    Nothing is evaluated. A step with a fault in its `foreach` is passed over: its variables are unknown.
    """
    problems = Problems(recipe)
    paths = Paths(workspace, recipe.files)
    odd = [step.name for step in [*recipe.steps, *recipe.faulty] if not step.name.isidentifier()]
    for step in recipe.faulty:
        if not any("foreach" in problem.key + problem.hint for problem in _inside(step, faults)):
            StepPlan(step, paths, odd, problems)
    told = {problem.where for problem in faults}
    return [problem for problem in problems.all() if problem.where not in told]


def _inside(step: Step, problems: Sequence[Problem]) -> list[Problem]:
    first, _, last = step.marks.get("", (0, 0, 0))
    return [p for p in problems if p.where and p.where.file == step.file and first <= p.where.line <= last]
