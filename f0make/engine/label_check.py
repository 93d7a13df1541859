"""Steps whose `runs_on` no place satisfies: refused before anything runs, if they must run. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from f0make.backends.ssh import HERE
from f0make.errors import Problem
from f0make.model import TEMPLATE_OPEN, Instance, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.backends.ssh.host import Host
    from f0make.session import Session


class Places:
    """Where the steps of a run may run: on this machine (``here``), on ``hosts``, or all of them on a ``cluster``."""

    def __init__(self, hosts: Sequence[Host] = (), here: bool = True, cluster: str = "") -> None:
        self._hosts = bool(hosts)
        self._here = here
        self._cluster = cluster
        self._places = [host.all_labels for host in hosts]
        if here:
            self._places.append(frozenset([HERE]))

    def problem(self, step: Step, labels: Sequence[str]) -> Problem | None:
        """Why no place takes an instance of ``step`` that asks for ``labels``; None when one does."""
        if self._cluster:
            if not labels:
                return None
            message = f"with --backend {self._cluster} every step runs on the cluster, and its workers have no labels"
            hint = "leave it out, or ask for a resource that workers declare"
        elif any(place.issuperset(labels) for place in self._places):
            return None
        else:
            message, hint = self._what(labels), self._hint(labels)
        return Problem(message, step.where("runs_on"), f"{step.name}.runs_on", hint)

    def refusal(self, instance: Instance) -> str:
        """The same in one line for ``instance``; empty when a place takes it."""
        found = self.problem(instance.step, instance.runs_on)
        return f"{found.message} ({found.hint})" if found is not None else ""

    def _what(self, labels: Sequence[str]) -> str:
        known = frozenset().union(*self._places) if self._places else frozenset()
        unknown = [label for label in labels if label not in known]
        if HERE in unknown:
            return "it must run here, but with -j 0 nothing does"
        if unknown:
            more = "" if self._hosts else ": everything runs on this machine"
            return f"no host has the label {unknown[0]!r}{more}"
        return f"no host has all of the labels {', '.join(map(repr, labels))}"

    def _hint(self, labels: Sequence[str]) -> str:
        if not self._hosts:
            return f"name hosts with --hosts, leave it out, or say {HERE!r}"
        from f0make.suggest import did_you_mean

        known = sorted(frozenset().union(*self._places))
        near = next(
            (hint for label in labels if label not in known and (hint := did_you_mean(label, known))), ""
        )
        return near or f"known: {', '.join(known)}"


def unsupported(session: Session, places: Places, planned: Mapping[str, str] | None = None) -> list[Problem]:
    """A problem for each step wanted that no place takes; with ``planned`` (instance -> status) of what must run."""
    problems: dict[Problem, None] = {}
    for name, step, labels in _labels(session):
        if planned is None or planned.get(name, "run") == "run":
            problem = places.problem(step, labels)
            if problem is not None:
                problems[problem] = None
    return list(problems)


def _labels(session: Session) -> Iterator[tuple[str, Step, tuple[str, ...]]]:
    """(name, step, labels) of all that is wanted; of steps that have no instances yet, those without templates."""
    for index in sorted(session.wanted()):
        if index < len(session.graph.instances):
            instance = session.graph.instances[index]
            if instance.runs_on:
                yield instance.name, instance.step, tuple(instance.runs_on)
    for name in session.growing.coming():
        step = session.recipe.step(name)
        if step is not None and step.runs_on and not any(TEMPLATE_OPEN in label for label in step.runs_on):
            yield name, step, tuple(step.runs_on)
