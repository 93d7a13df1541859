"""What the log says of keys, instances and paths."""

from __future__ import annotations

from collections.abc import Mapping

from f0make.store.instance_identity import join, split
from f0make.store.journal import Journal
from f0make.store.log_index import ENERGY, SECONDS, Index, Stats

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias


Record: TypeAlias = "dict[str, Any]"


class RecordedFacts:
    """Answer questions from ``journal`` and its index, also about what was appended and is not yet on disk.

    An instance is known by its recipe and its name: an instance named without a recipe is one of ``recipe``
    (see `instance_identity.recipe_of`).
    """

    def __init__(self, journal: Journal, recipe: str) -> None:
        self.recipe = recipe
        self._journal = journal
        self._step_stats: dict[str, list[Stats]] | None = None
        """Step of ``recipe`` -> what its instances took, once it was asked for."""

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

    @property
    def _index(self) -> Index:
        return self._journal.index

    def _identity(self, instance: str, recipe: str | None = None) -> str:
        return join(self.recipe if recipe is None else recipe, instance)

    def _record(self, offset: int) -> Record | None:
        payload = self._journal.read(offset, "record")
        return payload if isinstance(payload, dict) else None
