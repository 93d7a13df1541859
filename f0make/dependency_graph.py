"""The graph of named tasks: order, layers, cycles, drawing. The graph of steps is one of these."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from f0make.errors import F0makeError
from f0make.graph import graph_order as walk

TOPOSORT_LIMIT = 500
"""Tasks up to which toposort orders them; beyond, its O(layers x tasks) shows and the linear walk takes over."""


class CycleError(F0makeError, ValueError):
    """Tasks that need each other; ``cycle`` lists them, each needing the next, the last needing the first."""

    def __init__(self, cycle: list[str]) -> None:
        self.cycle = cycle
        super().__init__("cycle: " + " -> ".join([*cycle, cycle[0]]))


class DependencyGraph:
    """Tasks by name and what each depends on.

    A dependency that was never added as a task counts as one without dependencies.
    """

    def __init__(self) -> None:
        self._dependencies: dict[str, dict[str, None]] = {}

    def add_task(self, task_name: str, dependencies: Iterable[str] = ()) -> None:
        """Add ``task_name``; adding it again adds to its dependencies."""
        self._dependencies.setdefault(task_name, {}).update(dict.fromkeys(dependencies))

    def _numbered(self) -> tuple[list[str], list[list[int]]]:
        names = list(
            dict.fromkeys([*self._dependencies, *(d for ds in self._dependencies.values() for d in ds)])
        )
        number = {name: index for index, name in enumerate(names)}
        return names, [[number[d] for d in self._dependencies.get(name, ())] for name in names]

    def check(self) -> None:
        """Raise `CycleError` with a real cycle if there is one."""
        self.layers()

    def layers(self) -> list[list[str]]:
        """Tasks by depth: those that depend on nothing first; within a layer in the order they were added.

        Raises `CycleError`.
        """
        names, needs = self._numbered()
        return [[names[index] for index in layer] for layer in self._ordered(names, needs)]

    def _ordered(self, names: list[str], needs: list[list[int]]) -> list[list[int]]:
        for index, wanted in enumerate(needs):
            if index in wanted:  # toposort drops such an edge
                raise CycleError([names[index]])
        if len(names) > TOPOSORT_LIMIT:
            found = walk.layers(needs)
            if sum(map(len, found)) == len(names):
                return found
        else:
            from toposort import CircularDependencyError, toposort

            try:
                return [sorted(layer) for layer in toposort({n: set(w) for n, w in enumerate(needs)})]
            except CircularDependencyError:
                pass  # its data are all that is left, not a cycle
        raise CycleError([names[index] for index in walk.find_cycle(needs) or ()])

    def get_task_order(self) -> list[str]:
        """Every task after all that it depends on: the layers one after the other. Raises `CycleError`."""
        return [name for layer in self.layers() for name in layer]

    def dependencies(self, task_name: str) -> list[str]:
        """What ``task_name`` depends on directly; KeyError if it is not a task."""
        return list(self._dependencies[task_name])

    def visualize(self) -> str:
        """The graph as text for graphviz's `dot`, arrows from a task to what needs it."""
        from f0make.graph.draw.dot import dot

        names, needs = self._numbered()
        return dot(
            [(str(index), name, "") for index, name in enumerate(names)],
            [(str(other), str(index)) for index, wanted in enumerate(needs) for other in wanted],
        )

    def to_dask(self, run: Callable[..., Any] | None = None) -> dict[str, tuple[Any, ...]]:
        """The graph as Dask has it (docs.dask.org, "Task graphs"): compute it with any of Dask's schedulers.

        Each task calls ``run(name, *results)``, the results being those of its dependencies in their order; by default its
        result is its name. Dask itself is not needed. Raises `CycleError`.
        """
        from f0make.graph.task_graphs import dask_graph, name_of

        self.check()
        return dask_graph(self._all(), run or name_of)

    def to_ray(self, run: Callable[..., Any] | None = None) -> dict[str, Any]:
        """The same by Ray's object references: starts a remote task for each task; name -> reference of its result.

        Ray must be installed, and connects or starts as `ray.init` says. Raises `CycleError`.
        """
        from f0make.graph.task_graphs import name_of, ray_references

        return ray_references(self.get_task_order(), self._all(), run or name_of)

    def _all(self) -> dict[str, list[str]]:
        """Every task and its dependencies, those without any of their own too."""
        names, needs = self._numbered()
        return {name: [names[n] for n in wanted] for name, wanted in zip(names, needs, strict=True)}
