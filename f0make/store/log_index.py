"""What the record log says, as tables: key -> places in the log, and the latest facts by path and instance.

Lines in, tables out. What is small is a dict, the rest is read in pieces (`table`).
"""

from __future__ import annotations

from collections.abc import Callable

from f0make.fast_dataclass import dataclass
from f0make.store.instance_identity import UNKNOWN, join
from f0make.store.piece_table import Place, Source, Table
from f0make.store.variant import variant_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


TABLES = ("keys", "latest", "made", "makers")
"""What there is something in for every instance."""
_SMALL = ("trees", "begins", "fails")
_MEASURES = {
    "seconds": 0.0,
    "cpu_seconds": 0.0,
    "peak_mem": 0,
    "read": 0,
    "written": 0,
    "energy_kwh": None,
    "carbon_g": None,
}
"""Fields of `Stats`, and what stands for one that a record lacks."""
_SLACK = 10_000
"""Superseded lines that are not worth a rewrite of the log: reading them takes about 50 ms."""
SECONDS, ENERGY = 0, 5
"""Where two of them stand."""


@dataclass(frozen=True, slots=True)
class Stats:
    """What the last successful run of an instance took."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mem: int = 0
    """Bytes, as are ``read`` and ``written``."""
    read: int = 0
    written: int = 0
    energy_kwh: float | None = None
    carbon_g: float | None = None


class Healed(Exception):
    """In the middle of a line the tables turned out to be damaged; now they are whole, without that line."""


class Index:
    """Tables over the lines seen so far; feed it with `apply` in the order of the log.

    ``again`` makes the index of all lines before an offset (None: of all lines). It is called when what
    `load` was given turns out to be damaged.
    """

    def __init__(self, again: Callable[[int | None], Index] | None = None) -> None:
        self.lines = 0
        """Lines seen, the live and the superseded ones."""
        self.keys: Table = Table()
        """key -> (variant, offset, variant, offset, …), newest last."""
        self.latest: Table = Table()
        """Identity (see `instance_identity.join`) -> (offset of the instance's last record, step, measures)."""
        self.made: Table = Table()
        """path -> token"""
        self.makers: Table = Table()
        """path -> identity"""
        self.trees: dict[str, int] = {}
        """Token of a directory -> offset of a record that lists its entries."""
        self.begins: dict[str, dict[str, Any]] = {}
        """Identity -> payload, of attempts that neither a record nor a failure has closed."""
        self.fails: dict[str, int] = {}
        """Identity -> offset of the instance's failure, if nothing succeeded since."""
        self._again = again
        self._at: int | None = None
        """Offset of the line that is being taken in."""

    def apply(self, kind: str, payload: Any, offset: int) -> bool:
        """Take in one line; False when its payload is not what its type needs (then nothing changes)."""
        handler = _HANDLERS.get(kind)
        if handler is None:
            self.lines += 1
            return True
        self._at = offset
        try:
            try:
                handler(self, payload, offset)
            except Healed:
                handler(self, payload, offset)
        except (KeyError, TypeError, AttributeError, ValueError):
            return False
        finally:
            self._at = None
            self.lines += 1
        return True

    @property
    def mostly_superseded(self) -> bool:
        """Whether most lines of the log say what a later one says."""
        live = self.keys.about + len(self.begins) + len(self.fails) + self.made.about // 4
        return self.lines > 4 * live + _SLACK

    def offsets(self, key: str) -> tuple[int, ...]:
        """Where the records of ``key`` lie, newest first."""
        return tuple(reversed(self.keys.get(key, ())[1::2]))

    def stats(self, identity: str) -> Stats | None:
        """What the last record of an instance measured."""
        entry = self.latest.get(identity)
        return Stats(*entry[2]) if entry else None

    def dump(self) -> tuple[tuple[Any, ...], dict[str, list[bytes]]]:
        """(what is small, name of a table -> its pieces), for `load`."""
        packed = {name: getattr(self, name).packed() for name in TABLES}
        counts = [count for count, _ in packed.values()]
        pieces = {name: pieces for name, (_, pieces) in packed.items()}
        return (self.lines, counts, [getattr(self, name) for name in _SMALL]), pieces

    def load(self, small: tuple[Any, ...], places: list[list[Place]], source: Source) -> None:
        """Take over what `dump` gave: ``places`` says where the pieces of each table lie."""
        self.lines, counts, dicts = small
        for name, table in zip(_SMALL, dicts, strict=True):
            setattr(self, name, table)
        for name, count, pieces in zip(TABLES, counts, places, strict=True):
            setattr(self, name, Table(count, pieces, source, self._heal))

    def _heal(self) -> None:
        """A piece cannot be read: make everything again from the lines."""
        assert self._again is not None
        fresh = self._again(self._at)
        for name in TABLES:
            getattr(self, name).become(getattr(fresh, name))
        for name in _SMALL:
            setattr(self, name, getattr(fresh, name))
        self.lines = fresh.lines
        if self._at is not None:
            raise Healed

    # One line type each. A handler reads all it needs before it changes anything.

    def _record(self, payload: Any, offset: int) -> None:
        key, instance, identity = payload["key"], payload["instance"], _identity(payload)
        variant, outputs = variant_of(payload), payload.get("outputs") or {}
        trees = payload.get("trees") or {}
        measures = tuple(payload.get(name) or default for name, default in _MEASURES.items())
        step = payload.get("step") or instance.partition("[")[0]
        tokens = [outputs[path] for path in trees if path in outputs]
        _check_texts(key, instance, step, *outputs, *outputs.values())
        self.keys.change(key, lambda old: _with_variant(old or (), variant, offset))
        self.latest.put(identity, (offset, step, measures))
        self._put_made(outputs, identity)
        for token in tokens:
            self.trees[token] = offset
        self.begins.pop(identity, None)
        self.fails.pop(identity, None)

    def _made(self, payload: Any, offset: int) -> None:
        paths, identity = payload["paths"], _identity(payload)
        _check_texts(*paths, *paths.values())
        self._put_made(paths, identity)
        offsets = self.offsets(payload.get("key") or "")
        if offsets:
            known = self.latest.get(identity)
            rest = known[1:] if known else (payload["instance"].partition("[")[0], ())
            self.latest.put(identity, (offsets[0], *rest))

    def _put_made(self, paths: dict[str, str], identity: str) -> None:
        for path, token in paths.items():
            self.made.put(path, token)
            self.makers.put(path, identity)

    def _gone(self, payload: Any, offset: int) -> None:
        paths = payload["paths"]
        _check_texts(*paths)
        for path in paths:
            self.made.take(path)
            self.makers.take(path)

    def _begin(self, payload: Any, offset: int) -> None:
        self.begins[_identity(payload)] = payload

    def _fail(self, payload: Any, offset: int) -> None:
        identity = _identity(payload)
        self.begins.pop(identity, None)
        if not payload.get("lost"):
            self.fails[identity] = offset

    def _forget(self, payload: Any, offset: int) -> None:
        key, variant = payload["key"], payload.get("variant")
        old = self.keys.get(key, ())
        dropped = {o for v, o in zip(old[::2], old[1::2], strict=True) if variant in (None, v)}
        kept = tuple(x for v, o in zip(old[::2], old[1::2], strict=True) if o not in dropped for x in (v, o))
        self.keys.change(key, lambda old: kept or None)
        # What was written before recipes were names instances alone.
        named = [x if isinstance(x, list) else (UNKNOWN, x) for x in payload.get("instances") or ()]
        identities = [join(recipe, instance) for recipe, instance in named]
        for identity in [i for i in identities if self.latest.get(i, (-1,))[0] in dropped]:
            self.latest.take(identity)


def _with_variant(old: tuple[Any, ...], variant: str, offset: int) -> tuple[Any, ...]:
    """``old`` with a record of ``variant`` at ``offset`` as its newest."""
    if variant in old[::2]:
        at = old.index(variant)
        old = old[:at] + old[at + 2 :]
    return (*old, variant, offset)


def _identity(payload: Any) -> str:
    """The identity of the instance that a line is about. Raises KeyError and TypeError."""
    recipe, instance = payload.get("recipe", UNKNOWN), payload["instance"]
    _check_texts(recipe, instance)
    return join(recipe, instance)


def _check_texts(*values: Any) -> None:
    for value in values:
        if type(value) is not str:
            raise TypeError


_HANDLERS = {
    "record": Index._record,
    "made": Index._made,
    "gone": Index._gone,
    "begin": Index._begin,
    "fail": Index._fail,
    "forget": Index._forget,
}
