"""Outputs that two instances would both write. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from f0make.expand.problems import Problems
from f0make.model import Instance


def find_conflicts(instances: Sequence[Instance], problems: Problems) -> dict[str, int]:
    """Output path -> index of its instance; problems of paths that are declared twice or inside another.

    Each pair of steps is told once, with one example.
    """
    by_output: dict[str, int] = {}
    told: set[tuple[str, str]] = set()
    for index, instance in enumerate(instances):
        before = len(by_output)
        for output in instance.outputs:
            by_output.setdefault(output.path, index)
        if len(by_output) - before < len(instance.outputs):
            _find_twice(instances, index, by_output, told, problems)
    _find_nested(instances, by_output, problems)
    return by_output


def _find_twice(
    instances: Sequence[Instance],
    index: int,
    by_output: dict[str, int],
    told: set[tuple[str, str]],
    problems: Problems,
) -> None:
    instance = instances[index]
    seen: set[str] = set()
    for output in instance.outputs:
        other = instances[by_output[output.path]]
        pair = (other.step.name, instance.step.name)
        if other is instance and output.path in seen and pair not in told:
            told.add(pair)
            _tell(
                problems, instance, output.path, f"{instance.name} declares the output {output.path!r} twice"
            )
        elif other is not instance and pair not in told:
            told.add(pair)
            place = other.step.where(_key_of(other, output.path))
            text = f"{output.path!r} is an output of {other.name} ({place}) and of {instance.name}"
            _tell(problems, instance, output.path, text)
        seen.add(output.path)


def _find_nested(instances: Sequence[Instance], by_output: dict[str, int], problems: Problems) -> None:
    """Outputs inside another instance's directory, or below a path that is declared as a file."""
    directories = {o.path for i in instances for o in i.outputs if o.directory}
    known: dict[str, str | None] = {"": None}
    told: set[tuple[str, str]] = set()
    for path, index in by_output.items():
        outer_path = _nearest(path.rpartition("/")[0], by_output, known)
        if outer_path is None:
            continue
        outer, inner = instances[by_output[outer_path]], instances[index]
        directory = outer_path in directories
        pair = (outer.step.name, inner.step.name)
        if (outer is inner and directory) or pair in told:
            continue
        told.add(pair)
        place = outer.step.where(_key_of(outer, outer_path))
        whose = f"{outer_path!r} of {outer.name} ({place})"
        if directory:
            text = f"output {path!r} of {inner.name} lies in the output directory {whose}"
        else:
            text = f"output {path!r} of {inner.name} lies below the output file {whose}"
        _tell(problems, inner, path, text, "" if directory else "the path of a directory ends in a slash")


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


def _tell(problems: Problems, instance: Instance, path: str, text: str, hint: str = "") -> None:
    problems.at(instance.step, _key_of(instance, path), text, hint)
