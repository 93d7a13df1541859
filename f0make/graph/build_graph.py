"""Instances -> graph: who makes what, who needs whom, and everything that can be wrong with that.

Pure: whether a file exists is asked through an injected function.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from f0make.allowance import EDGE
from f0make.errors import Problem
from f0make.fast_dataclass import dataclass
from f0make.graph.graph_order import closure, dependents, find_cycles
from f0make.graph.instance_order import instance_order
from f0make.model import Instance, Step


@dataclass(frozen=True, slots=True)
class MissingInput:
    """An input that nothing makes and that does not exist."""

    path: str
    instance: str
    problem: Problem


FEW = 8
"""Edges of an instance that count as a part of it."""
BARRIER_EDGES = 4096
"""`depends_on` between two steps of many instances each goes through one barrier node beyond this many edges."""


class Graph:
    """Instances and what each needs, by index.

    ``needs`` may hold indexes beyond the instances: barriers, each standing for all instances of one step
    (two steps of 10,000 instances would otherwise have 10^8 edges). ``order`` is topological; nodes on a
    cycle are missing from it, and `problems` says so.
    """

    def __init__(
        self,
        instances: Sequence[Instance],
        through: Mapping[str, Sequence[str]] | None = None,
        charge: Callable[[Step, int], None] = lambda step, amount: None,
    ) -> None:
        """``through``: inputs that are reached by other names than their own, because of links -> these names.

        ``charge`` is told of the bytes that many edges of an instance take, and raises where they are too many.
        """
        self._charge = charge
        self.instances = list(instances)
        self.through: Mapping[str, Sequence[str]] = through or {}
        self.by_name = {instance.name: index for index, instance in enumerate(self.instances)}
        self.by_step: dict[str, list[int]] = defaultdict(list)
        self.producer: dict[str, int] = {}
        """Output path -> instance."""
        self.output_directories: set[str] = set()
        for index, instance in enumerate(self.instances):
            self.by_step[instance.step.name].append(index)
            for output in instance.outputs:
                self.producer[output.path] = index
                if output.directory:
                    self.output_directories.add(output.path)
        self.barriers: dict[int, str] = {}
        self._holders = self._parents_of_outputs()
        self.needs = self._connect()
        self.needed_by = dependents(self.needs)
        self.order = instance_order(self.instances, self.needs, self.barriers)

    def producer_of(self, path: str) -> int | None:
        """The instance that makes ``path``, itself or as part of an output directory."""
        index = self.producer.get(path)
        if index is not None or not self.output_directories:
            return index
        cut = path.rfind("/")
        while cut > 0:
            parent = path[:cut]
            if parent in self.output_directories:
                return self.producer[parent]
            cut = path.rfind("/", 0, cut)
        return None

    def makers_of(self, path: str) -> list[int]:
        """The instances that make the input ``path``, by whatever name links give it."""
        found = dict.fromkeys(map(self.producer_of, (path, *self.through.get(path, ()))))
        return [index for index in found if index is not None]

    def is_made(self, path: str) -> bool:
        """Whether an instance makes ``path``."""
        return self.producer_of(path) is not None

    def holds(self, directory: str) -> bool:
        """Whether instances make something in ``directory`` (".": the workspace), at any depth."""
        return directory in self._holders or (directory == "." and bool(self.producer))

    def unrelated_maker(self, index: int, path: str) -> str | None:
        """The instance that makes ``path`` and that ``index`` does not need, directly or not; None: there is none."""
        maker = self.producer_of(path)
        if maker is None or maker in self.closure([index]):
            return None
        return self.instances[maker].name

    def real_needs(self, index: int) -> list[int]:
        """Instances that ``index`` needs directly, barriers resolved, without repetition."""
        found: dict[int, None] = {}
        for other in self.needs[index]:
            for real in self.needs[other] if other in self.barriers else (other,):
                found[real] = None
        return list(found)

    def closure(self, roots: Iterable[int]) -> set[int]:
        """``roots`` and everything they need, barriers included."""
        return closure(self.needs, list(roots))

    def _parents_of_outputs(self) -> set[str]:
        parents: set[str] = set()
        for path in self.producer:
            cut = path.rfind("/")
            while cut > 0:
                parent = path[:cut]
                if parent in parents:
                    break
                parents.add(parent)
                cut = path.rfind("/", 0, cut)
        return parents

    def _makers_inside(self, directory: str) -> list[int]:
        prefix = directory + "/"
        return sorted({index for path, index in self.producer.items() if path.startswith(prefix)})

    def makers_through(self, path: str) -> list[int]:
        """The makers of what the input ``path`` leads to, and of what lies in it."""
        found = self.makers_of(path)
        for name in self.through[path]:
            if name in self._holders:
                found += self._makers_inside(name)
        return found

    def _connect(self) -> list[list[int]]:
        needs: list[list[int]] = []
        inside: dict[str, list[int]] = {}
        barrier_of: dict[str, int] = {}
        extra: list[list[int]] = []
        for instance in self.instances:
            found: dict[int, None] = {}
            for path in instance.inputs:
                index = self.producer_of(path)
                if index is not None:
                    found[index] = None
                elif path in self._holders:
                    # An input directory in which other steps put files: its tree is theirs to finish first.
                    if path not in inside:
                        inside[path] = self._makers_inside(path)
                    found.update(dict.fromkeys(inside[path]))
                if path in self.through:
                    found.update(dict.fromkeys(self.makers_through(path)))
            for name in instance.depends_on:
                members = self.by_step.get(name, [])
                if len(members) * len(self.by_step[instance.step.name]) > BARRIER_EDGES:
                    if name not in barrier_of:
                        barrier_of[name] = len(self.instances) + len(extra)
                        self.barriers[barrier_of[name]] = name
                        extra.append(list(members))
                    found[barrier_of[name]] = None
                else:
                    found.update(dict.fromkeys(members))
            if len(found) > FEW:
                self._charge(instance.step, EDGE * len(found))
            needs.append(list(found))
        return needs + extra

    def missing_inputs(
        self, wanted: set[int], exists: Callable[[str], bool], most: int | None = None
    ) -> list[MissingInput]:
        """Inputs of ``wanted`` instances that nothing makes and that do not exist; of these the first ``most``."""
        found = []
        fine: set[str] = set()
        for index in sorted(i for i in wanted if i < len(self.instances)):
            instance = self.instances[index]
            for position, path in enumerate(instance.inputs if instance.when else ()):
                if path in fine or path in self._holders:
                    continue
                made = bool(self.makers_of(path)) if path in self.through else self.is_made(path)
                if made or exists(path):
                    fine.add(path)
                else:
                    problem = missing_input(instance, position, path)
                    found.append(MissingInput(path, instance.name, problem))
                    if len(found) == most:
                        return found
        return found

    def cycles(self) -> list[Problem]:
        """A problem for each real cycle, with every member and its place."""
        if len(self.order) == len(self.needs):
            return []
        return [self._cycle(cycle) for cycle in find_cycles(self.needs)]

    def _cycle(self, cycle: list[int]) -> Problem:
        names = [
            self.instances[i].name if i < len(self.instances) else f"every {self.barriers[i]}" for i in cycle
        ]
        lines = [
            f"{names[n]} ({self.instances[i].step.where()})" if i < len(self.instances) else names[n]
            for n, i in enumerate(cycle)
        ]
        first = next(self.instances[i] for i in cycle if i < len(self.instances)).step
        if len(cycle) == 1:
            return Problem(f"cycle: {names[0]} needs its own output", first.where("inputs"), first.name)
        text = " needs ".join([*lines, names[0]])
        return Problem(f"cycle: {text}", first.where(), first.name, "break it at one of these")


def missing_input(instance: Instance, position: int, path: str) -> Problem:
    """The problem of an input that nothing makes and that does not exist."""
    step = instance.step
    keys = [decl.key for decl in step.inputs]
    # With globs and list-valued templates positions no longer match declarations: then the whole list is meant.
    key = keys[position] if len(keys) == len(instance.inputs) else "inputs"
    text = f"input {path!r} of {instance.name} does not exist and no step makes it"
    return Problem(text, step.where(key), f"{step.name}.{key}")
