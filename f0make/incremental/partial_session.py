"""What stands in the place of an opened recipe when little has changed: the instances that the changes reach."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from f0make import STATE
from f0make.errors import StateError
from f0make.files import signature
from f0make.files.content_cache import Contents
from f0make.graph.build_graph import Graph
from f0make.incremental.affected import reached, touched
from f0make.incremental.missing_outputs import Lost, lost, readers_and_makers
from f0make.incremental.packed_graph import Compiled
from f0make.incremental.packed_lists import inverse
from f0make.incremental.path_index import EVERYBODY
from f0make.model import Instance, Recipe
from f0make.session import Session
from f0make.store.record_store import Store
from f0make.store.snapshot import events_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.files.content_cache import Row
    from f0make.files.signature import Signature
    from f0make.options import RunOptions
    from f0make.store.snapshot import Look

Opened = tuple[list[int], list[Instance]]
"""Numbers of instances in the whole graph, and they themselves."""


class PartGraph(Graph):
    """The graph of a few instances, which knows of the others who makes what."""

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


class Rest:
    """The instances of the request that need no deciding: they are as their last run left them, or only have to get
    back what is `lost`.
    """

    def __init__(self, compiled: Compiled, numbers: list[int], back: Iterable[int]) -> None:
        """``numbers`` are the instances that are decided, ``back`` those that get something back."""
        self._compiled = compiled
        self._decided = frozenset(numbers)
        self.back = frozenset(back)
        self._without = self._decided | self.back
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
        """How many are as they were."""
        return self.current + self.skipped

    def lines(self) -> list[str]:
        """The events of those that are as they were, as JSON."""
        try:
            text = events_of(self._compiled.kept, self._compiled.workspace)
        except OSError:
            text = None
        if text is None:  # damaged: what they say can be said from the names
            from json import dumps

            return [
                dumps({"event": "step", "step": name, "status": state, "reason": "", "seconds": 0})
                for name, state in self.states().items()
                if state != "restored"
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
        for number in self.back:
            found[names[number]] = "restored"
        for number in self._decided:
            del found[names[number]]
        return found


class Code:
    """The code of a python step as the snapshot has it, where a full session has `CodeFacts`."""

    def __init__(self, digest: str, sources: dict[str, bytes], workspace: str) -> None:
        self.digest = digest
        self.sources = sources
        self.files = [os.path.join(workspace, path) for path in sources]
        self.watched_missing: list[str] = []
        self._seen = {path: _signature(path) for path in self.files}

    def changed(self, own: Collection[str] = ()) -> str | None:
        """The path of a file of it that has changed since the snapshot was found to hold."""
        return next((path for path, seen in self._seen.items() if _signature(path) != seen), None)


def _signature(path: str) -> Signature | None:
    try:
        return signature.of(os.stat(path))
    except OSError:
        return None


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
        first: set[int],
        lost: Lost,
        opened: Opened,
    ) -> None:
        super().__init__(contents.root, store, contents, options)
        self.compiled = compiled
        self._first = first
        self.lost = lost
        """What only has to be put back, by those who are not in this graph."""
        self.look = look
        self.listings: dict[str, Row] = {}
        """Directories that globs listed and that hold the same names with another stamp."""
        path = compiled.kept["recipe"]
        self.recipe = Recipe(path, path, "", [], test_meta=dict(compiled.index["test_meta"]))
        self.warnings = list(compiled.index["warnings"])
        self._whole: Session | None = None
        self._take(opened)

    def _take(self, opened: Opened) -> None:
        numbers, instances = opened
        self.numbers = numbers
        """Instance of this graph -> its number in the whole."""
        self.graph = PartGraph(self.compiled, numbers, instances)
        self.rest: Rest = Rest(self.compiled, numbers, self.lost.keys() - set(numbers))
        by_name, codes = self.compiled.index["code"]
        for instance in instances:
            if instance.name in by_name:
                digest, sources = codes[by_name[instance.name]]
                self.code[instance.name] = Code(digest, sources, self.workspace)  # type: ignore[assignment]

    def decide_too(self, numbers: set[int]) -> None:
        """What these instances have `lost` could not be put back: they, and what needs them, are to be decided.

        Raises StateError when they cannot be read.
        """
        for number in numbers:
            self._first |= readers_and_makers(self.compiled, self.lost.pop(number))
        try:
            opened = _load(self.compiled, self._first)
        except OSError:
            opened = None
        if opened is None:
            raise StateError(f"{self.workspace}: a snapshot is damaged; the next run does without it")
        self._take(opened)

    @property
    def pending(self) -> dict[str, str]:
        """Nothing waits for the graph to grow: such a graph is not kept."""
        return {}

    def wanted(self) -> set[int]:
        """Every node there is."""
        return set(range(len(self.graph.needs)))

    def rerender(self, instance: Instance, attempt: int, cpus: float | None = None) -> Instance:
        """``instance`` in another attempt, from the recipe's text. Raises what `Session.open` does."""
        if self._whole is None:
            request = self.compiled.kept["request"]
            self._whole = Session.open(self.recipe.path, self.options, targets=list(request[1] or ()))
        whole = self._whole
        return whole.rerender(whole.graph.instances[whole.graph.by_name[instance.name]], attempt, cpus)

    @property
    def notes(self) -> list[str]:
        """What a person should know of the whole recipe."""
        return self.warnings

    def close(self) -> None:
        """Let go of the state."""
        if self._whole is not None:
            self._whole.close()
        super().close()


def open_part(
    options: RunOptions, workspace: str, look: Look, tell: Callable[[str], None]
) -> PartSession | None:
    """The part of the request's graph that the changes in ``look`` reach; None when the full way must tell.

    ``tell`` takes a line for a person about what is being waited for.
    """
    place = workspace.rstrip("/") + "/"
    try:
        compiled = Compiled.read(look.kept, look.paths, place)
        if compiled is None:
            return None
        contents = Contents(workspace)
        contents.older = compiled.row
        contents.before_large = _together(contents, look, tell)
        store = Store(workspace, recipe=compiled.kept["known_as"])
    except OSError:
        return None
    session = None
    try:
        session = _open(options, compiled, look, contents, store)
    except OSError:
        pass
    finally:
        if session is None:
            store.close()
    return session


def _together(contents: Contents, look: Look, tell: Callable[[str], None]) -> Callable[[str], None]:
    """Hash the large ones of all changed files when the first of them is met."""

    def hook(first: str) -> None:
        from f0make.files.prehash import Prehash
        from f0make.worker.cores import usable_cores

        Prehash(contents, lambda: look.changed, usable_cores(), tell)(first)

    return hook


def _open(
    options: RunOptions, compiled: Compiled, look: Look, contents: Contents, store: Store
) -> PartSession | None:
    if store.damage or store.open_begins() or not store.holds(compiled.index["log"]):
        return None
    gone = {} if options.no_cache else lost(compiled, look.changed, store, contents.root)
    later = {path for files in gone.values() for path, *_ in files}
    listings: dict[str, Row] = {}
    changed = [path for path in look.changed if path not in later]
    first = touched(compiled, changed, look.appeared, contents, listings)
    if first is None:
        return None
    while True:
        opened = _load(compiled, first)
        if opened is None:
            return None
        both = gone.keys() & set(opened[0])
        if not both:
            break
        # What is decided anyway is decided whole.
        for number in both:
            first |= readers_and_makers(compiled, gone.pop(number))
    session = PartSession(options, store, contents, compiled, look, first, gone, opened)
    session.listings = listings
    return session


def _load(compiled: Compiled, first: set[int]) -> Opened | None:
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


def look_again(request: tuple[object, ...] | None, workspace: str) -> Look | None:
    """The look of a caller who comes without one."""
    from f0make.store import snapshot

    run = os.path.join(workspace, STATE, "run")
    try:
        if request is None or (os.path.isdir(run) and os.listdir(run)):
            return None
        return snapshot.look(request, workspace.rstrip("/") + "/")
    except OSError:
        return None
