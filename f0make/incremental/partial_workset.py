"""`PartialWorkset`: the instances that changes since a snapshot can reach; nothing else is read, decided or written down."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from f0make.errors import StateError
from f0make.incremental.missing_outputs import Lost, readers_and_makers
from f0make.incremental.part_graph import Opened, PartGraph, load
from f0make.incremental.path_index import made
from f0make.incremental.settled_rest import settled_rest
from f0make.run_records import Selection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from f0make.cache.blobs import Blobs
    from f0make.files.content_cache import Contents
    from f0make.files.stat_cache import Row
    from f0make.incremental.packed_graph import Compiled
    from f0make.model import Instance
    from f0make.run_records import RunResults
    from f0make.store.record_store import Store
    from f0make.store.snapshot import Look
    from f0make.workset import StepCode, Workset
    from f0make.workspace.workspace_files import Workspace


class PartialWorkset:
    """The instances that changes can reach, and the state of the workspace. Made by `open_partial`.

    It has no recipe text: what needs that (a later attempt whose command mentions the number of the attempt) opens the
    whole by ``open_whole``.
    """

    complete = False
    growing = None
    """A graph that may grow is not kept with a snapshot."""
    secrets = None
    """Nor is one with secrets."""
    setters: Mapping[str, frozenset[str]] = {}
    """Nor one whose steps use the context."""

    def __init__(
        self,
        compiled: Compiled,
        look: Look,
        store: Store,
        contents: Contents,
        first: set[int],
        lost: Lost,
        listings: dict[str, Row],
        opened: Opened,
        open_whole: Callable[[], Workset],
    ) -> None:
        self.workspace = contents.root
        self.store = store
        self.contents = contents
        self.compiled = compiled
        self.look = look
        self._listings = listings
        self._first = first
        self._lost = lost
        """What only has to be put back, by those who are not in this graph."""
        self._open_whole = open_whole
        self._whole: Workset | None = None
        self.code: dict[str, StepCode] = {}
        self._take(opened)

    def _take(self, opened: Opened) -> None:
        self.numbers, instances = opened
        self.graph = PartGraph(self.compiled, self.numbers, instances)
        self.settled = settled_rest(self.compiled, self.numbers, self._lost.keys() - set(self.numbers))
        by_name, codes = self.compiled.index["code"]
        if by_name:
            from f0make.incremental.kept_code import KeptCode

            for instance in instances:
                if instance.name in by_name:
                    digest, sources = codes[by_name[instance.name]]
                    self.code[instance.name] = KeptCode(digest, sources, self.workspace)

    @property
    def notes(self) -> list[str]:
        """What a person should know of the whole recipe."""
        return list(self.compiled.index["warnings"])

    @property
    def test_meta(self) -> dict[str, str]:
        """The recipe's `test_meta`."""
        return dict(self.compiled.index["test_meta"])

    def confirm(self) -> None:
        """The recipe is the one that the run which wrote the snapshot had confirmed."""

    def select(self) -> Selection:
        """Every node that there is; a request that leaves out or forces anything goes the full way."""
        return Selection(set(range(len(self.graph.needs))))

    def is_source(self, path: str) -> bool:
        """Whether the snapshot rests on ``path`` and no instance makes it."""
        place = self.compiled.place(path)
        return place is not None and not made(self.compiled.owners[place])

    def code_of(self, instance: Instance) -> StepCode | None:
        """What the python code of ``instance`` comes to now, read anew when a file of it has changed.

        None for a step without code. Raises RecipeError for code that is wrong now.
        """
        known = self.code.get(instance.name)
        if known is not None and known.changed() is not None:
            from f0make.incremental.kept_code import read_anew

            known = self.code[instance.name] = read_anew(self.workspace, instance)
        return known

    def rerender(self, instance: Instance, attempt: int, cpus: float | None = None) -> Instance:
        """``instance`` in another attempt, from the recipe's text. Raises what opening the recipe does."""
        if self._whole is None:
            self._whole = self._open_whole()
        graph = self._whole.graph
        return self._whole.rerender(graph.instances[graph.by_name[instance.name]], attempt, cpus)

    def restore_missing(
        self, place: Workspace, blobs: Blobs | None, going_on: Callable[[], bool]
    ) -> dict[str, str]:
        """Put back what is only gone, all at once; instance -> reason.

        What cannot be put back so is decided after all, with everything that needs it. Raises StateError when that
        cannot be read.
        """
        if not self._lost:
            return {}
        from f0make.incremental.restore_missing import put_back, reasons

        failed = put_back(self._lost, self.contents, place, blobs, going_on)
        told = reasons(self.compiled, self._lost, failed)
        if failed:
            self._decide_too(failed)
        return told

    def _decide_too(self, numbers: set[int]) -> None:
        """Take in these instances of those that have lost something, and what needs them."""
        for number in numbers:
            self._first |= readers_and_makers(self.compiled, self._lost.pop(number))
        try:
            opened = load(self.compiled, self._first)
        except OSError:
            opened = None
        if opened is None:
            raise StateError(f"{self.workspace}: a snapshot is damaged; the next run does without it")
        self._take(opened)

    def save_snapshot(self, results: RunResults, recipe_path: str, targets: Sequence[str]) -> bool:
        """Bring the snapshot up to date; False when something is not sure (the old one then stays). Raises OSError."""
        from f0make.incremental.update_snapshot import Part, renew

        part = Part(
            compiled=self.compiled,
            look=self.look,
            store=self.store,
            contents=self.contents,
            listings=self._listings,
            graph=self.graph,
            numbers=self.numbers,
            settled=self.settled,
        )
        return renew(part, results)

    def close(self) -> None:
        """Let go of the state."""
        if self._whole is not None:
            self._whole.close()
        self.store.close()
