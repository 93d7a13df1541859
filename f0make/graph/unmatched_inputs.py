"""Globs that match nothing, and links to nothing that they give, where a target needs them: problems before anything runs.

Pure: from the expanded recipe and its graph.
"""

from __future__ import annotations

from collections.abc import Iterable

from f0make.errors import Problem
from f0make.expand.expansion import Expansion
from f0make.expand.pending_steps import Waiting
from f0make.expand.step_state import StepState
from f0make.graph.build_graph import Graph
from f0make.trail import Trail

OPTIONAL = "if nothing is right, write it as a map: `glob:` and `optional: yes`"


def unmatched(
    expansion: Expansion, graph: Graph, wanted: set[int], targets: Iterable[str], dangling: dict[str, Trail]
) -> list[Problem]:
    """A problem for each glob of the ``wanted`` instances, and of the steps that ``targets`` need, that gives nothing.

    ``dangling``: the links to nothing that globs of `foreach` gave, by path.
    """
    stages = expansion.stages
    if stages is None:
        return []
    waiting = Waiting(stages)
    states = stages.states
    problems = [problem for _, problem in unmatched_inputs(expansion, graph, wanted)]
    for name in _needed(expansion, graph, wanted, targets):
        state = states[name]
        if state.after is not None:
            continue
        if state.unmatched.foreach is not None and not waiting.grown(state):
            key, text = state.unmatched.foreach
            message = f"no file matches the glob {text!r}, so {name} has no instances"
            problems.append(_problem(state, key, message, OPTIONAL))
        inputs = (
            {path for instance in state.instances for path in instance.inputs}
            if state.unmatched.dangling
            else ()
        )
        for key, path in state.unmatched.dangling:
            trail = dangling[path]
            if path not in inputs and (trail.target is None or not graph.is_made(trail.target)):
                where = "which is not there and no step makes it" if trail.missing else "in a circle"
                message = f"the glob gives {path!r}, a link that leads to {trail.text!r}, {where}"
                problems.append(_problem(state, key, message))
    return problems


def unmatched_inputs(expansion: Expansion, graph: Graph, wanted: set[int]) -> list[tuple[str, Problem]]:
    """(instance, problem) of each input of the ``wanted`` instances that is a glob and gives nothing."""
    stages = expansion.stages
    if stages is None or not any(state.unmatched.inputs for state in stages.states.values()):
        return []
    found: list[tuple[str, Problem]] = []
    waiting = Waiting(stages)
    for index in sorted(i for i in wanted if i < len(graph.instances)):
        instance = graph.instances[index]
        state = stages.states[instance.step.name]
        if instance.name not in state.unmatched.inputs or instance.step.type == "gather" or not instance.when:
            continue
        if not waiting.grown(state):
            for key, text in state.unmatched.inputs[instance.name]:
                message = f"no file matches the input {text!r} of {instance.name}"
                found.append((instance.name, _problem(state, key, message, OPTIONAL)))
    return found


def _problem(state: StepState, key: str, message: str, hint: str = "") -> Problem:
    step = state.plan.step
    return Problem(message, step.where(key), f"{step.name}.{key}", hint)


def _needed(expansion: Expansion, graph: Graph, wanted: set[int], targets: Iterable[str]) -> list[str]:
    """The steps that the targets need, also those that have no instances."""
    stages = expansion.stages
    assert stages is not None
    left = [name for name in targets if name in stages.states] if targets else list(stages.states)
    of_all = len(wanted) >= len(graph.instances)
    names = (
        graph.by_step
        if of_all
        else {graph.instances[i].step.name for i in wanted if i < len(graph.instances)}
    )
    left += names
    needed: set[str] = set()
    while left:
        name = left.pop()
        if name in needed or name not in stages.states:
            continue
        needed.add(name)
        left += stages.states[name].plan.step.depends_on
        left += stages.uses.get(name, ())
    return [name for name in stages.states if name in needed and not stages.states[name].plan.pattern]
