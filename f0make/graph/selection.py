"""Find the instances that a word of the command line stands for. Pure.

A word is, in this order: an instance, a step, a part of an instance's variables (`train[n=10]` of
`train[n=10,lr=0.1]`), a pattern of steps or of values (`tr*`, `train[lr=0.*]`, `*[lang=en]`), a file that a step makes, a
directory that holds such files, a pattern of files (`out/*.txt`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase

from f0make.expand.globs import Glob, has_glob, is_pattern
from f0make.expand.instance_names import parse_instance_name
from f0make.graph.build_graph import Graph


def select(word: str, path: str, graph: Graph) -> list[int] | None:
    """Indexes of the instances that ``word`` stands for, in the order of the graph; None: it stands for nothing.

    ``path``: ``word`` as the graph would name a file (relative to the workspace, normalised).
    """
    if word in graph.by_name:
        return [graph.by_name[word]]
    if word in graph.by_step:
        return list(graph.by_step[word])
    found = _by_variables(word, graph)
    if found:
        return found
    index = graph.producer_of(path)
    if index is not None:
        return [index]
    inside = {i for p, i in graph.producer.items() if p.startswith(path + "/")}
    if not inside and is_pattern(path):
        glob = Glob(path, {})
        inside = {i for p, i in graph.producer.items() if glob.matches(p)}
    return sorted(inside) or None


def names_step(word: str, steps: Collection[str]) -> bool:
    """Whether ``word`` names one of ``steps``, a part of its instances, or a pattern that one of them matches."""
    step = word.partition("[")[0]
    return step in steps or (has_glob(step) and any(fnmatchcase(name, step) for name in steps))


def _by_variables(word: str, graph: Graph) -> list[int]:
    """Instances by a pattern of the step's name, by some of the variables, or by both."""
    pattern, bracket, _ = word.partition("[")
    wanted: dict[str, str] = {}
    if bracket:
        parsed = parse_instance_name(word)
        if parsed is None:
            return []
        pattern, wanted = parsed
    steps = [pattern] if pattern in graph.by_step else []
    if not steps and has_glob(pattern):
        steps = [step for step in graph.by_step if fnmatchcase(step, pattern)]
    found = [index for step in steps for index in graph.by_step[step]]
    if wanted:
        found = [index for index in found if _has(graph.instances[index].name, wanted)]
    return sorted(found)


def _has(name: str, wanted: Mapping[str, str]) -> bool:
    parsed = parse_instance_name(name)
    variables = parsed[1] if parsed is not None else {}
    return all(
        variable in variables
        and (variables[variable] == value or (has_glob(value) and fnmatchcase(variables[variable], value)))
        for variable, value in wanted.items()
    )
