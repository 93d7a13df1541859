"""Reading the instances that changes reach from beside a snapshot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from f0make.incremental.affected import reached

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
