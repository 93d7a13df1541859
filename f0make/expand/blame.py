"""Whose fault a problem is, where the graph has grown: of one instance, or of a step that has none. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from f0make.errors import Problem
from f0make.expand.output_conflicts import Clash
from f0make.expand.step_state import StepState
from f0make.fast_dataclass import dataclass, field


@dataclass(slots=True)
class Faults:
    """What cannot run, and why; an empty reason: it hangs on something else here."""

    instances: dict[str, str] = field(default_factory=dict)
    steps: dict[str, str] = field(default_factory=dict)
    """Steps that come to no instances."""


def blame(
    states: Iterable[StepState], clashes: Sequence[Clash], others: Sequence[Problem], known: Collection[str]
) -> Faults:
    """The faults among what is not ``known`` (names of instances that were found to be in order before).

    ``others`` are problems that no state holds; they are of the step that their key names.
    """
    found = Faults()
    states = [state for state in states if state.after is None]
    by_step = {state.name: state for state in states}
    for clash in clashes:
        for instance in (clash.one, clash.other):
            if instance.name not in known:
                found.instances.setdefault(instance.name, str(clash.problem))
    told = {clash.problem.message for clash in clashes}
    whole: dict[str, str] = {}
    for state in states:
        for name, parts in state.broken_parts.items():
            if parts != {"glob"} and name not in known:
                found.instances.setdefault(name, state.reasons.get(name, ""))
        problems = [problem for stage in state.problems.values() for problem in stage.all()]
        if problems and not state.reasons:
            whole[state.name] = str(problems[0])
    for problem in others:
        step = step_of(problem, by_step)
        if step is not None and problem.message not in told:
            whole.setdefault(step, str(problem))
    for step, reason in whole.items():
        names = [instance.name for instance in by_step[step].instances]
        if not names:
            found.steps[step] = reason
        for name in names:
            if name not in known:
                found.instances.setdefault(name, reason)
    return found


def step_of(problem: Problem, steps: Collection[str]) -> str | None:
    """The step that the key of ``problem`` begins with: the longest such name, since names may hold dots."""
    fitting = [s for s in steps if problem.key == s or problem.key.startswith((f"{s}.", f"{s}["))]
    return max(fitting, key=len, default=None)
