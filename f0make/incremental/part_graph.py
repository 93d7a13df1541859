"""The part of the instances that changes reach: reading it, and its graph, which knows of all others who makes what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from f0make.graph.build_graph import Graph
from f0make.incremental.affected import reached
from f0make.incremental.packed_lists import inverse
from f0make.incremental.path_index import EVERYBODY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from f0make.incremental.packed_graph import Compiled
    from f0make.model import Instance

Opened: TypeAlias = "tuple[list[int], list[Instance]]"
"""Numbers of instances in the whole graph, and they themselves."""


def load(compiled: Compiled, first: set[int]) -> Opened | None:
    """What ``first`` reaches, with the makers of temp files that it may need; None when a row is damaged. Raises OSError."""
    count = len(compiled)
    found = reached(compiled, first)
    known: dict[int, Instance] = {}
    temps: dict[str, int] = compiled.index["temps"]
    while True:
        new = sorted(n for n in found if n < count and n not in known)
        instances = compiled.instances(new)
        if instances is None:
            return None
        known.update(zip(new, instances, strict=True))
        makers = _makers(temps, instances, compiled.index["through"]) - found if temps else set()
        if not makers:
            break
        found |= reached(compiled, makers)
    numbers = sorted(known)
    return numbers, [known[n] for n in numbers]


def _makers(
    temps: dict[str, int], instances: Sequence[Instance], through: Mapping[str, Sequence[str]]
) -> set[int]:
    """Makers of the temp files, or of the temp directories around the files, that ``instances`` read."""
    found = set()
    for instance in instances:
        for path in instance.inputs:
            for name in (path, *through.get(path, ())):
                while name:
                    if name in temps:
                        found.add(temps[name])
                    name = name.rpartition("/")[0]
    return found


class PartGraph(Graph):
    """The graph of a few instances, whose ``numbers`` in the whole are given."""

    def __init__(self, compiled: Compiled, numbers: list[int], instances: list[Instance]) -> None:
        super().__init__(instances, compiled.index["through"])
        self._compiled = compiled
        self._numbers = numbers

    def is_made(self, path: str) -> bool:
        """Whether an instance makes ``path``, be it one of these or another."""
        return super().is_made(path) or bool(self._makers(path))

    def unrelated_maker(self, index: int, path: str) -> str | None:
        """The instance that makes ``path`` and that ``index`` does not need, directly or not."""
        makers = self._makers(path)
        if not makers:
            return super().unrelated_maker(index, path)
        needs = inverse(self._compiled.needed_by)
        above, stack = {self._numbers[index]}, [self._numbers[index]]
        while stack:
            for need in needs.get(stack.pop(), ()):
                if need not in above:
                    above.add(need)
                    stack.append(need)
        return next((self._compiled.names[maker] for maker in makers if maker not in above), None)

    def _makers(self, path: str) -> list[int]:
        """The makers of ``path``, also those that are not among these instances."""
        while path:
            place = self._compiled.place(path)
            temp = self._compiled.index["temps"].get(path)
            found = [] if temp is None else [temp]
            if place is not None:
                found += [o >> 1 for o in self._compiled.owners[place] if o & 1 and o != EVERYBODY]
            if found:
                return sorted(set(found))
            path = path.rpartition("/")[0]
        return []
