"""What is wrong with instances, beyond what their templates and their graph tell. Pure."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence

from f0make.errors import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.model import Instance, Recipe
    from f0make.recipe_graph.layout import Layout

Found = list[tuple[str, Problem]]
"""(instance or step, problem)."""


def unknown_names(recipe: Recipe, instances: Sequence[Instance]) -> Found:
    """Each `depends_on` that a template rendered to something that is no step."""
    steps = {step.name for step in recipe.steps}
    return [
        (
            i.name,
            Problem(f"no step is called {name!r}", i.step.where("depends_on"), f"{i.step.name}.depends_on"),
        )
        for i in instances
        for name in i.depends_on
        if name not in steps
    ]


def waiting_for_nothing(layout: Layout, wanted: Iterable[int]) -> Found:
    """Each `depends_on` of ``wanted`` instances that names a pattern step without instances."""
    if layout.pending:
        return []  # What appears may ask for some.
    graph = layout.graph
    return [
        (
            i.name,
            Problem(
                f"{name} is a pattern step, and nothing asks for an instance of it, so this would wait for nothing",
                i.step.where("depends_on"),
                f"{i.step.name}.depends_on",
                f"name the file that is needed in inputs, or ask for instances by `steps.{name}(…).outputs`",
            ),
        )
        for i in (graph.instances[n] for n in sorted(wanted) if n < len(graph.instances))
        for name in i.depends_on
        if not graph.by_step.get(name) and layout.expansion.is_pattern(name)
    ]


def beyond_limits(
    recipe: Recipe, pending: Container[str], instances: Sequence[Instance], limits: Mapping[str, float | int]
) -> Found:
    """Each request beyond the ``limits`` of `--resource`; of ``pending`` steps what stands in them as it is."""
    if not limits:
        return []
    asks = [(i.name, i.step, i.resources) for i in instances]
    asks += [
        (s.name, s, {n: v for n, v in s.resources.items() if not isinstance(v, str)})
        for s in recipe.steps
        if s.name in pending
    ]
    return [
        (
            who,
            Problem(
                f"asks for {name}={asked:g}, more than the limit {limits[name]:g}",
                step.where(f"resources.{name}"),
                f"{step.name}.resources.{name}",
                f"lower it or raise --resource {name}=",
            ),
        )
        for who, step, resources in asks
        for name, asked in resources.items()
        if name in limits and asked > limits[name]
    ]


def missing_interpreters(
    instances: Sequence[Instance],
    interpreter: Callable[[], Callable[[Instance], str]],
    there: Callable[[str], bool],
) -> Found:
    """Each `python` that is not ``there``: neither a program nor what a step makes."""
    declared = [i for i in instances if i.python and i.module is not None]
    if not declared:
        return []
    path_of = interpreter()
    return [
        (
            i.name,
            Problem(f"no interpreter is at {i.python!r}", i.step.where("python"), f"{i.step.name}.python"),
        )
        for i in declared
        if not there(path_of(i))
    ]
