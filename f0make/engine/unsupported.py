"""Steps that ask for a place that nobody is: refused before anything runs. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from f0make.errors import Problem
from f0make.model import TEMPLATE_OPEN, Step
from f0make.remote import HERE
from f0make.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.remote.hosts import Host


def unsupported(session: Session, hosts: Sequence[Host] = (), here: bool = True) -> list[Problem]:
    """A problem for each step wanted that neither this machine (when ``here``) nor any of ``hosts`` can run."""
    places = [host.all_labels for host in hosts]
    if here:
        places.append(frozenset([HERE]))
    problems = []
    for step, labels in _labels(session):
        if not any(place.issuperset(labels) for place in places):
            problems.append(
                Problem(
                    _what(labels, places, here, bool(hosts)),
                    step.where("runs_on"),
                    f"{step.name}.runs_on",
                    _hint(labels, places, bool(hosts)),
                )
            )
    return list(dict.fromkeys(problems))


def not_here(session: Session, backend: str) -> list[Problem]:
    """A problem for each step wanted that asks for a place, where all of them run on a cluster."""
    found = [
        Problem(
            f"with --backend {backend} every step runs on the cluster, and its workers have no labels",
            step.where("runs_on"),
            f"{step.name}.runs_on",
            "leave it out, or ask for a resource that workers declare",
        )
        for step, _ in _labels(session)
    ]
    return list(dict.fromkeys(found))


def _what(labels: Sequence[str], places: list[frozenset[str]], here: bool, hosts: bool) -> str:
    known = frozenset().union(*places) if places else frozenset()
    unknown = [label for label in labels if label not in known]
    if HERE in unknown:
        return "it must run here, but with -j 0 nothing does"
    if unknown:
        more = "" if hosts else ": everything runs on this machine"
        return f"no host has the label {unknown[0]!r}{more}"
    return f"no host has all of the labels {', '.join(map(repr, labels))}"


def _hint(labels: Sequence[str], places: list[frozenset[str]], hosts: bool) -> str:
    if not hosts:
        return f"name hosts with --hosts, leave it out, or say {HERE!r}"
    from f0make.recipe.nearest import did_you_mean

    known = sorted(frozenset().union(*places))
    near = next((hint for label in labels if label not in known and (hint := did_you_mean(label, known))), "")
    return near or f"known: {', '.join(known)}"


def _labels(session: Session) -> Iterator[tuple[Step, tuple[str, ...]]]:
    """The labels of all that is wanted; of steps that have no instances yet, those without templates."""
    for index in sorted(session.wanted()):
        if index < len(session.graph.instances):
            instance = session.graph.instances[index]
            if instance.runs_on:
                yield instance.step, tuple(instance.runs_on)
    for name in session.pending:
        step = session.recipe.step(name)
        if step is not None and step.runs_on and not any(TEMPLATE_OPEN in label for label in step.runs_on):
            yield step, tuple(step.runs_on)
