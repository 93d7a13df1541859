"""The graph of a part of the instances, which knows of all others who makes what."""

from __future__ import annotations

from f0make.graph.build_graph import Graph
from f0make.incremental.packed_lists import inverse
from f0make.incremental.path_index import EVERYBODY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.incremental.packed_graph import Compiled
    from f0make.model import Instance


class PartGraph(Graph):
    """The graph of a few instances, whose ``numbers`` in the whole are given."""

    def __init__(self, compiled: Compiled, numbers: list[int], instances: list[Instance]) -> None:
        super().__init__(instances, compiled.index["through"])
        self._compiled = compiled
        self._numbers = numbers

    def is_made(self, path: str) -> bool:
        """Whether an instance makes ``path``, be it one of these or another."""
        return super().is_made(path) or bool(self._makers(path))

    def stranger(self, index: int, path: str) -> str | None:
        """The instance that makes ``path`` and that ``index`` does not need, directly or not."""
        makers = self._makers(path)
        if not makers:
            return super().stranger(index, path)
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
