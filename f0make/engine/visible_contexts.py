"""The context as each instance may see it: what its ancestors wrote, in the order of the graph. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias


Write: TypeAlias = "Mapping[str, Any]"
NOBODY: frozenset[int] = frozenset()


class Contexts:
    """Who wrote what in this run, and which writers each node descends from.

    Sets of writers are shared between nodes (most graphs have few writers), so a graph without context
    costs one frozenset.
    """

    def __init__(self, needs: Sequence[Sequence[int]]) -> None:
        self._needs = needs
        self._position: dict[int, int] = {}
        self._writers: dict[int, frozenset[int]] = {}
        self.writes: dict[int, list[Write]] = {}
        self.steps: dict[int, str] = {}

    def settle(self, node: int, step: str, writes: Iterable[Write]) -> None:
        """``node`` has its result; ``writes`` are its context writes in order."""
        listed = list(writes)
        if listed:
            self.writes[node] = listed
            self.steps[node] = step
            self._position[node] = len(self._position)

    def above(self, node: int) -> frozenset[int]:
        """Writers among the ancestors of ``node``, all of which must be settled."""
        if not self.writes:
            return NOBODY
        stack = [node]
        while stack:
            top = stack[-1]
            unknown = [n for n in self._needs[top] if n not in self._writers]
            if top in self._writers or not unknown:
                stack.pop()
                found = NOBODY
                for need in self._needs[top]:
                    more = self._writers[need] | {need} if need in self.writes else self._writers[need]
                    if not more <= found:
                        found = found | more if found else more
                self._writers[top] = found
            else:
                stack += unknown
        return self._writers[node]

    def view(self, node: int) -> dict[str, Any]:
        """Key -> value as ``node`` sees the context: of two writers the one settled later wins."""
        values: dict[str, Any] = {}
        for writer in sorted(self.above(node), key=self._position.__getitem__):
            for write in self.writes[writer]:
                values[write["key"]] = write["value"]
        return values

    def foreign(self, node: int) -> dict[str, str]:
        """Key -> step for keys that only steps which are no ancestors of ``node`` have set."""
        above = self.above(node)
        visible = {write["key"] for writer in above for write in self.writes[writer]}
        return {
            write["key"]: self.steps[writer]
            for writer, writes in self.writes.items()
            if writer not in above and writer != node
            for write in writes
            if write["key"] not in visible
        }

    def everything(self) -> dict[str, Any]:
        """The whole context at the end of a run."""
        return {
            write["key"]: write["value"]
            for writer in sorted(self.writes, key=self._position.__getitem__)
            for write in self.writes[writer]
        }
