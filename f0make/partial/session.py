"""What stands in the place of an opened recipe when little has changed: the instances that the changes reach."""

from __future__ import annotations

import os
from collections.abc import Sequence

from f0make.files.contents import Contents
from f0make.graph.build import Graph
from f0make.model import Instance, Recipe
from f0make.partial.affected import reached, touched
from f0make.partial.compiled import Compiled
from f0make.partial.lists import inverse
from f0make.partial.owners import EVERYBODY
from f0make.session import Session
from f0make.state.snapshot import events_of
from f0make.state.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.files.contents import Row
    from f0make.options import RunOptions
    from f0make.state.snapshot import Look


class PartGraph(Graph):
    """The graph of a few instances, which knows of the others who makes what."""

    def __init__(self, compiled: Compiled, numbers: list[int], instances: list[Instance]) -> None:
        super().__init__(instances)
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


class Rest:
    """The instances of the request that nothing has changed for, as their last run left them."""

    def __init__(self, compiled: Compiled, numbers: list[int]) -> None:
        self._compiled = compiled
        self._without = frozenset(numbers)
        skipped = set(compiled.index["skipped"])
        counts = compiled.kept["counts"]
        self.skipped: int = counts["skipped"] - len(self._without & skipped)
        self.current: int = counts["current"] - len(self._without - skipped)
        seconds, energy = compiled.kept["saved"]
        spared = [compiled.spared(n) for n in numbers]
        self.saved_seconds: float = seconds - sum(s for s, _ in spared)
        self.saved_energy: float = energy - sum(e for _, e in spared)

    @property
    def count(self) -> int:
        """How many they are."""
        return self.current + self.skipped

    def lines(self) -> list[str]:
        """Their events, as JSON."""
        try:
            text = events_of(self._compiled.kept, self._compiled.workspace)
        except OSError:
            text = None
        if text is None:  # damaged: what they say can be said from the names
            from json import dumps

            return [
                dumps({"event": "step", "step": name, "status": state, "reason": "", "seconds": 0})
                for name, state in self.states().items()
            ]
        lines = text.split("\n") if text else []
        if not self._without:
            return lines
        return [line for n, line in enumerate(lines) if n not in self._without]

    def states(self) -> dict[str, str]:
        """Instance -> what it is."""
        names = self._compiled.names
        found = dict.fromkeys(names, "current")
        for number in self._compiled.index["skipped"]:
            found[names[number]] = "skipped"
        for number in self._without:
            del found[names[number]]
        return found


class Code:
    """The code of a python step as the snapshot has it, where a full session has `CodeFacts`."""

    def __init__(self, digest: str, sources: dict[str, bytes]) -> None:
        self.digest = digest
        self.sources = sources


class PartSession(Session):
    """The instances that changes can reach, and the state of the workspace.

    Made by `open_part`. It has no recipe text: what needs that (a later attempt whose command mentions the
    number of the attempt) opens the whole.
    """

    def __init__(
        self,
        options: RunOptions,
        store: Store,
        contents: Contents,
        compiled: Compiled,
        look: Look,
        numbers: list[int],
        instances: list[Instance],
    ) -> None:
        super().__init__(contents.root, store, contents, options)
        self.compiled = compiled
        self.numbers = numbers
        """Instance of this graph -> its number in the whole."""
        self.graph = PartGraph(compiled, numbers, instances)
        self.rest: Rest = Rest(compiled, numbers)
        self.look = look
        self.listings: dict[str, Row] = {}
        """Directories that globs listed and that hold the same names with another stamp."""
        path = compiled.kept["recipe"]
        self.recipe = Recipe(path, path, "", [], test_meta=dict(compiled.index["test_meta"]))
        self.warnings = list(compiled.index["warnings"])
        by_name, codes = compiled.index["code"]
        for instance in instances:
            if instance.name in by_name:
                self.code[instance.name] = Code(*codes[by_name[instance.name]])  # type: ignore[assignment]
        self._whole: Session | None = None

    @property
    def pending(self) -> dict[str, str]:
        """Nothing waits for the graph to grow: such a graph is not kept."""
        return {}

    def wanted(self) -> set[int]:
        """Every node there is."""
        return set(range(len(self.graph.needs)))

    def rerender(self, instance: Instance, attempt: int) -> Instance:
        """``instance`` in another attempt, from the recipe's text. Raises what `Session.open` does."""
        if self._whole is None:
            request = self.compiled.kept["request"]
            self._whole = Session.open(self.recipe.path, self.options, targets=list(request[1] or ()))
        whole = self._whole
        return whole.rerender(whole.graph.instances[whole.graph.by_name[instance.name]], attempt)

    def lost(self) -> list[tuple[str, bool]]:
        """The files that instances made and that are gone: digest and whether executable, in the order of the graph."""
        compiled = self.compiled
        found = []
        gone = set(self.look.changed)
        for node in self.graph.order:
            for output in self.graph.instances[node].outputs if node < len(self.graph.instances) else ():
                place = compiled.place(output.path) if output.path in gone else None
                token = compiled.tokens[place] if place is not None else ""
                regular = token[:1] not in ("", "@") and not token.endswith("/")
                if regular and not os.path.lexists(os.path.join(self.workspace, output.path)):
                    found.append((token[:64], token.endswith("x")))
        return found

    @property
    def notes(self) -> list[str]:
        """What a person should know of the whole recipe."""
        return self.warnings

    def close(self) -> None:
        """Let go of the state."""
        if self._whole is not None:
            self._whole.close()
        super().close()


def open_part(options: RunOptions, workspace: str, look: Look) -> PartSession | None:
    """The part of the request's graph that the changes in ``look`` reach; None when the full way must tell."""
    place = workspace.rstrip("/") + "/"
    try:
        compiled = Compiled.read(look.kept, look.paths, place)
        if compiled is None:
            return None
        contents = Contents(workspace)
        contents.older = compiled.row
        listings: dict[str, Row] = {}
        first = touched(compiled, look, contents, listings)
        if first is None:
            return None
        opened = _load(compiled, first)
    except OSError:
        return None
    if opened is None:
        return None
    store = Store(workspace)
    if store.damage or store.open_begins() or not store.holds(compiled.index["log"]):
        store.close()
        return None
    session = PartSession(options, store, contents, compiled, look, *opened)
    session.listings = listings
    return session


def _load(compiled: Compiled, first: set[int]) -> tuple[list[int], list[Instance]] | None:
    """What ``first`` reaches, with the makers of temp files that it may need; None when it cannot be read."""
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
        makers = _makers(temps, instances) - found if temps else set()
        if not makers:
            break
        found |= reached(compiled, makers)
    numbers = sorted(known)
    return numbers, [known[n] for n in numbers]


def _makers(temps: dict[str, int], instances: Sequence[Instance]) -> set[int]:
    """Makers of the temp files, or of the temp directories around the files, that ``instances`` read."""
    found = set()
    for instance in instances:
        for path in instance.inputs:
            while path:
                if path in temps:
                    found.add(temps[path])
                path = path.rpartition("/")[0]
    return found


def look_again(request: tuple[object, ...] | None, workspace: str) -> Look | None:
    """The look of a caller who comes without one."""
    from f0make.state import snapshot

    run = os.path.join(workspace, ".f0make", "run")
    try:
        if request is None or (os.path.isdir(run) and os.listdir(run)):
            return None
        return snapshot.look(request, workspace.rstrip("/") + "/")
    except OSError:
        return None
