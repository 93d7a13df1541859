"""Outputs that two instances would both write. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from f0make.errors import Problem
from f0make.expand.problem_collector import Problems, full_key
from f0make.fast_dataclass import dataclass
from f0make.model import Instance


@dataclass(frozen=True, slots=True)
class Clash:
    """Two instances that would write the same path, or one inside what the other writes; perhaps one with itself."""

    one: Instance
    other: Instance
    """The one at whose output it is told."""
    path: str
    message: str
    hint: str = ""

    @property
    def problem(self) -> Problem:
        """It as a problem of ``other``."""
        key = _key_of(self.other, self.path)
        step = self.other.step
        return Problem(self.message, step.where(key), full_key(step, key), self.hint)


def find_conflicts(instances: Sequence[Instance], problems: Problems) -> tuple[dict[str, int], list[Clash]]:
    """(output path -> index of its instance, paths that are declared twice or inside another).

    Each pair of steps is told to ``problems`` once, with one example.
    """
    by_output: dict[str, int] = {}
    clashes: list[Clash] = []
    for index, instance in enumerate(instances):
        before = len(by_output)
        for output in instance.outputs:
            by_output.setdefault(output.path, index)
        if len(by_output) - before < len(instance.outputs):
            clashes += _find_twice(instances, index, by_output)
    clashes += _find_nested(instances, by_output)
    told: set[tuple[str, str, bool]] = set()
    for clash in clashes:
        pair = clash.one.step.name, clash.other.step.name, clash.one is clash.other
        if pair not in told:
            told.add(pair)
            problems.add(clash.problem)
    return by_output, clashes


def _find_twice(instances: Sequence[Instance], index: int, by_output: dict[str, int]) -> Iterator[Clash]:
    instance = instances[index]
    seen: set[str] = set()
    for output in instance.outputs:
        path, other = output.path, instances[by_output[output.path]]
        if other is instance and path in seen:
            text = f"{instance.name} declares the output {path!r} twice"
            yield Clash(instance, instance, path, text)
        elif other is not instance:
            place = other.step.where(_key_of(other, path))
            text = f"{path!r} is an output of {other.name} ({place}) and of {instance.name}"
            yield Clash(other, instance, path, text)
        seen.add(path)


def _find_nested(instances: Sequence[Instance], by_output: dict[str, int]) -> Iterator[Clash]:
    """Outputs inside another instance's directory, or below a path that is declared as a file."""
    directories = {o.path for i in instances for o in i.outputs if o.directory}
    known: dict[str, str | None] = {"": None}
    for path, index in by_output.items():
        outer_path = _nearest(path.rpartition("/")[0], by_output, known)
        if outer_path is None:
            continue
        outer, inner = instances[by_output[outer_path]], instances[index]
        directory = outer_path in directories
        if outer is inner and directory:
            continue
        place = outer.step.where(_key_of(outer, outer_path))
        whose = f"{outer_path!r} of {outer.name} ({place})"
        if directory:
            yield Clash(
                outer, inner, path, f"output {path!r} of {inner.name} lies in the output directory {whose}"
            )
        else:
            text = f"output {path!r} of {inner.name} lies below the output file {whose}"
            yield Clash(outer, inner, path, text, "the path of a directory ends in a slash")


def _nearest(directory: str, by_output: dict[str, int], known: dict[str, str | None]) -> str | None:
    """``directory`` or the nearest directory above it that is itself an output."""
    passed = []
    while directory not in known:
        passed.append(directory)
        if directory in by_output:
            known[directory] = directory
        else:
            directory = directory.rpartition("/")[0]
    found = known[directory]
    for below in passed:
        known[below] = found
    return found


def _key_of(instance: Instance, path: str) -> str:
    """Where ``path`` is declared: exact where each declaration is one path."""
    declared = instance.step.outputs
    if len(declared) == len(instance.outputs):
        for decl, output in zip(declared, instance.outputs, strict=True):
            if output.path == path:
                return decl.key
    return "outputs"
