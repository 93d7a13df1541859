"""The record log and its index: what every key produced, what lies where, what was begun and not ended."""

from __future__ import annotations

from collections.abc import Mapping

from f0make.store import state_dir
from f0make.store.instance_identity import UNKNOWN, join, split
from f0make.store.journal import Journal
from f0make.store.log_index import ENERGY, SECONDS, Index, Stats
from f0make.store.rewrite_log import rewrite, worth_it

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias


Record: TypeAlias = "dict[str, Any]"


class Store:
    """The durable state of ``workspace``. One writer (who holds the workspace lock), any number of readers.

    An instance is known by its recipe and its name: whoever names one here means that of ``recipe`` (see
    `identity.recipe_of`), and what is appended is of ``recipe`` unless it says otherwise. What is appended is seen by this object at once and by others after `flush`. With ``readonly`` nothing is
    written at all; a workspace without state is then an empty store. Raises StateError when `.f0make` cannot
    be used or was written by a newer f0make; damage never raises, it is told in ``damage``.
    """

    def __init__(self, workspace: str, readonly: bool = False, recipe: str = UNKNOWN) -> None:
        if readonly:
            state_dir.check(workspace)
        else:
            state_dir.prepare(workspace)
        self.recipe = recipe
        self._owner = {"recipe": recipe} if recipe != UNKNOWN else {}
        self.workspace = workspace
        self.readonly = readonly
        self._journal = Journal(workspace, readonly)
        self._step_stats: dict[str, list[Stats]] | None = None
        """Of the steps of ``recipe``."""

    # Questions.

    @property
    def damage(self) -> list[str]:
        """Messages about damaged parts that were left out, one for each kind."""
        return self._journal.damage()

    @property
    def made(self) -> Mapping[str, str]:
        """Path -> token of what f0make last left there; not to be changed."""
        return self._index.made

    def maker(self, path: str) -> tuple[str, str] | None:
        """(recipe, instance) that made what f0make last left at ``path``."""
        maker: str | None = self._index.makers.get(path)
        return None if maker is None else split(maker)

    @property
    def recorded(self) -> bool:
        """Whether there is a record of anything."""
        keys = self._index.keys
        return bool(keys.about or len(keys))

    def knows(self, paths: Mapping[str, str], instance: str) -> bool:
        """Whether ``instance`` has a record and is known to have left just this (path -> token)."""
        made, makers, identity = self._index.made, self._index.makers, self._identity(instance)
        return identity in self._index.latest and all(
            made.get(path) == token and makers.get(path) == identity for path, token in paths.items()
        )

    def find(self, key: str) -> list[Record]:
        """All records of ``key``, newest first."""
        return [
            r for o in self._index.offsets(key) if (r := self._record(o)) is not None and r.get("key") == key
        ]

    def latest(self, instance: str, recipe: str | None = None) -> Record | None:
        """The last successful record of ``instance`` of ``recipe`` (default: of this store's)."""
        entry = self._index.latest.get(self._identity(instance, recipe))
        return self._record(entry[0]) if entry else None

    def instances(self) -> list[tuple[str, str]]:
        """(recipe, instance) of everything that has a record, of all recipes."""
        return list(map(split, self._index.latest))

    def tree(self, token: str) -> dict[str, str] | None:
        """The entries of the output directory that has ``token``, None when no record lists them."""
        offset = self._index.trees.get(token)
        record = self._record(offset) if offset is not None else None
        if record is None:
            return None
        outputs, trees = record.get("outputs", {}), record.get("trees", {})
        return next((entries for path, entries in trees.items() if outputs.get(path) == token), None)

    def stats(self, instance: str) -> Stats | None:
        """What the last run of ``instance`` took."""
        return self._index.stats(self._identity(instance))

    def spared(self, instance: str) -> tuple[float, float]:
        """(seconds, kWh) that the last run of ``instance`` took; what is not known counts as nothing."""
        entry = self._index.latest.get(self._identity(instance))
        if not entry or not entry[2]:
            return 0.0, 0.0
        return entry[2][SECONDS] or 0.0, entry[2][ENERGY] or 0.0

    def seconds(self, instance: str) -> float | None:
        """How long the last run of ``instance`` took."""
        entry = self._index.latest.get(self._identity(instance))
        return entry[2][0] if entry and entry[2] else None

    def step_stats(self, step: str) -> list[Stats]:
        """What the last run of each instance of ``step`` took (as known when first asked)."""
        if self._step_stats is None:
            self._step_stats = {}
            ours = self._identity("")
            for identity, (_, name, measures) in self._index.latest.items():
                if measures and identity.startswith(ours):
                    self._step_stats.setdefault(name, []).append(Stats(*measures))
        return self._step_stats.get(step, [])

    def open_begins(self) -> list[dict[str, Any]]:
        """The payload of each `append_begin`, of all recipes, that no record or failure has closed, oldest first."""
        return list(self._index.begins.values())

    @property
    def failures(self) -> bool:
        """Whether anything has failed and not succeeded since."""
        return bool(self._index.fails)

    def last_fail(self, instance: str, recipe: str | None = None) -> dict[str, Any] | None:
        """The payload of the last failure of ``instance``, None when it succeeded since or never failed."""
        offset = self._index.fails.get(self._identity(instance, recipe))
        payload = self._journal.read(offset, "fail") if offset is not None else None
        return payload if isinstance(payload, dict) else None

    # Changes. All take effect here at once and on disk with `flush`.

    def append_begin(self, payload: dict[str, Any]) -> None:
        """Note that an attempt starts; needs ``instance``, may hold anything (``outputs``, ``token``, …)."""
        self._journal.append("begin", {**self._owner, **payload})

    def append_record(self, record: Record) -> None:
        """Add a success of ``recipe``, whosever it was. Needs ``key`` and ``instance``; ``outputs`` become `made`."""
        self._journal.append("record", {**record, **self._owner})

    def append_fail(self, payload: dict[str, Any]) -> None:
        """Note that an attempt failed or was undone after a crash; needs ``instance``."""
        self._journal.append("fail", {**self._owner, **payload})

    def append_made(self, paths: dict[str, str], instance: str, key: str = "") -> None:
        """Note what f0make left at ``paths`` (path -> token) for ``instance``.

        With ``key``, the newest record of that key becomes the `latest` of the instance.
        """
        if paths or key:
            about = {**self._owner, "instance": instance, "paths": paths}
            self._journal.append("made", {**about, "key": key} if key else about)

    def append_gone(self, paths: list[str]) -> None:
        """Note that f0make left nothing at ``paths`` any more."""
        if paths:
            self._journal.append("gone", {"paths": list(paths)})

    def forget(self, key: str, variant: str | None = None) -> None:
        """Remove the records of ``key`` (only the one with `variant_of` it equal to ``variant``)."""
        instances = sorted({(r.get("recipe", UNKNOWN), r["instance"]) for r in self.find(key)})
        if instances:
            payload = {"key": key, "instances": list(map(list, instances))}
            self._journal.append("forget", payload if variant is None else {**payload, "variant": variant})

    def mark(self) -> tuple[bytes, int]:
        """How far the log has come, for `holds`."""
        return self._journal.mark()

    def holds(self, mark: tuple[bytes, int]) -> bool:
        """Whether everything that stood in the log at `mark` still does."""
        header, size = self._journal.mark()
        return header == mark[0] and size >= mark[1]

    def flush(self) -> None:
        """Write everything appended since the last time, at once.

        Raises OSError (ENOSPC, EDQUOT, EFBIG, EIO, …; ``filename`` is the log); the log then ends where it
        ended before, and the next flush tries again.
        """
        self._journal.flush()

    def sync(self) -> None:
        """Flush, then wait until the disk has it (fdatasync). Raises OSError."""
        self._journal.flush()
        self._journal.sync()

    def close(self) -> None:
        """Flush (unless that has failed before), bring the index file up to date, let go.

        A log with damaged lines, of an older format, or that is mostly superseded, is rewritten. Raises OSError
        when the flush fails.
        """
        journal = self._journal
        try:
            if not self.readonly and not journal.failed:
                journal.flush()
                if journal.damaged_lines or journal.outdated or worth_it(self._index):
                    rewrite(journal)
                journal.save_index()
        finally:
            journal.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _index(self) -> Index:
        return self._journal.index

    def _identity(self, instance: str, recipe: str | None = None) -> str:
        return join(self.recipe if recipe is None else recipe, instance)

    def _record(self, offset: int) -> Record | None:
        payload = self._journal.read(offset, "record")
        return payload if isinstance(payload, dict) else None
