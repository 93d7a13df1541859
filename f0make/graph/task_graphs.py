"""A graph of named tasks in the terms of the engines: a Dask graph, and Ray's object references."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

Run = Callable[..., Any]
"""Called with a task's name and the results of what it depends on, in the order in which that was declared."""


def name_of(name: str, *results: Any) -> str:
    """The task that does nothing: its result is its name."""
    return name


def dask_graph(dependencies: Mapping[str, Sequence[str]], run: Run) -> dict[str, tuple[Any, ...]]:
    """One task for each name: ``{name: (callable, dependency, …)}``.

    The name is bound to the callable: as an argument Dask would take it for the key of a task.
    """
    return {name: (partial(run, name), *needs) for name, needs in dependencies.items()}


def ray_references(
    order: Sequence[str], dependencies: Mapping[str, Sequence[str]], run: Run
) -> dict[str, Any]:
    """Start one remote task for each name in ``order``; name -> reference of its result."""
    import ray

    task: Any = ray.remote(run)
    found: dict[str, Any] = {}
    for name in order:
        found[name] = task.remote(name, *(found[need] for need in dependencies[name]))
    return found
