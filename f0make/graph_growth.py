"""Where the graph grows: a step that `after:` waits for is done, the recipe is expanded again, and what is wrong with what
appears fails that and what hangs on it, nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from f0make.errors import Problem, RecipeError, UsageError
from f0make.graph.graph_order import find_cycles

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.session import Session


def finished_steps(session: Session, done: Callable[[int], bool]) -> frozenset[str]:
    """The steps that others wait for and whose instances are all ``done`` now."""
    graph, pending = session.graph, session.pending
    return frozenset(
        after
        for after in set(pending.values()) - session.finished
        if after not in pending
        and session.recipe.step(after) is not None
        and all(map(done, graph.by_step.get(after, ())))
    )


def root_of(pending: dict[str, str], step: str) -> str:
    """The step without an unmet `after:` of its own that ``step`` waits for in the end; perhaps itself."""
    seen: set[str] = set()
    while step in pending and step not in seen:
        seen.add(step)
        step = pending[step]
    return step


def grow(session: Session, finished: frozenset[str]) -> None:
    """Expand the recipe again with the files of ``finished`` steps; faults go to `Session.faults` and `Session.failed`."""
    known = session.graph.by_name.keys() - session.faults.keys()
    session.finished |= finished
    while True:
        try:
            python = session.expand()
        except RecipeError as error:
            # What has appeared is more than a recipe may come to: the steps that had no instances get none.
            lost = {step: str(error) for step in session.pending if step not in session.failed}
            if not lost:
                raise
            session.failed.update(lost)
            continue
        found = session.expansion.faults(known)
        steps = dict(found.steps)
        for name, problems in python.items():
            if problems and name not in known:
                found.instances.setdefault(name, str(problems[0]))
        if not steps:
            steps = _cycles(session, known)
        new = {step: reason for step, reason in steps.items() if step not in session.failed}
        if not new:
            break
        session.failed.update(new)
    session.faults = found.instances
    _check(session, known)


def _cycles(session: Session, known: Iterable[str]) -> dict[str, str]:
    """Steps without ``known`` instances on cycles -> the cycle."""
    graph = session.graph
    if len(graph.order) == len(graph.needs):
        return {}
    old = {graph.instances[graph.by_name[name]].step.name for name in known if name in graph.by_name}
    found: dict[str, str] = {}
    for cycle, problem in zip(find_cycles(graph.needs), graph.cycles(), strict=True):
        for node in cycle:
            step = graph.instances[node].step.name if node < len(graph.instances) else graph.barriers[node]
            if step not in old:
                found.setdefault(step, str(problem))
    return found


def _check(session: Session, known: Iterable[str]) -> None:
    """Find what is wrong with the instances that are not ``known``, beyond what their texts tell."""
    from f0make.graph.unmatched_inputs import unmatched_inputs

    fresh = [i for i in session.graph.instances if i.name not in set(known)]
    names = {instance.name for instance in fresh}
    problems: list[tuple[str, Problem]] = session.unknown_names(fresh) + session.beyond_limits(fresh)
    problems += session.missing_interpreters(fresh)
    wanted = {n for n in session.wanted() if n < len(session.graph.instances)}
    wanted = {n for n in wanted if session.graph.instances[n].name in names}
    problems += [(missing.instance, missing.problem) for missing in session.missing(wanted)]
    problems += session.waiting_for_nothing(wanted)
    problems += unmatched_inputs(session.expansion, session.graph, wanted)
    for name, problem in problems:
        session.faults.setdefault(name, str(problem))


def lose(session: Session, word: str, error: UsageError) -> None:
    """What ``word`` asks for was to appear when the graph grew, and has not. Raises ``error`` where it has not grown."""
    if not session.finished:
        raise error
    session.failed.setdefault(word, str(error))
