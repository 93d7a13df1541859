"""What the record log says, as tables: key -> places in the log, and the latest facts by path and instance.

Pure: lines in, tables out. The tables are plain built-in types, so that they load fast (`sealed`).
"""

from __future__ import annotations

import gc
import marshal
from typing import Any, NamedTuple

from f0make.cache.variant import variant_of
from f0make.files.atomic import MARSHAL_VERSION

_TABLES = ("keys", "latest", "made", "makers", "trees", "begins", "fails")
_NOTHING = marshal.dumps({}, MARSHAL_VERSION)
_MEASURES = ("seconds", "cpu_seconds", "peak_mem", "read", "written", "energy_kwh", "carbon_g")


class Stats(NamedTuple):
    """What the last successful run of an instance took."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mem: int = 0
    """Bytes, as are ``read`` and ``written``."""
    read: int = 0
    written: int = 0
    energy_kwh: float | None = None
    carbon_g: float | None = None


class Index:
    """Tables over the lines seen so far; feed it with `apply` in the order of the log.

    After `load` each table stays packed until it is first used.
    """

    keys: dict[str, tuple[Any, ...]]
    """key -> (variant, offset, variant, offset, …), newest last."""
    latest: dict[str, tuple[int, str, tuple[Any, ...]]]
    """instance -> (offset of its last record, step, measures)."""
    made: dict[str, str]
    """path -> token"""
    makers: dict[str, str]
    """path -> instance"""
    trees: dict[str, int]
    """Token of a directory -> offset of a record that lists its entries."""
    begins: dict[str, dict[str, Any]]
    """instance -> payload, of attempts that neither a record nor a failure has closed."""
    fails: dict[str, int]
    """instance -> offset of its failure, if nothing succeeded since."""

    def __init__(self) -> None:
        self.lines = 0
        """Lines seen, the live and the superseded ones."""
        self._packed = dict.fromkeys(_TABLES, _NOTHING)

    def __getattr__(self, name: str) -> Any:
        if name not in _TABLES:
            raise AttributeError(name)
        collecting = gc.isenabled()
        gc.disable()  # Nothing here makes cycles, and collecting would visit each of the new objects.
        try:
            table = marshal.loads(self._packed.pop(name))
        finally:
            if collecting:
                gc.enable()
        setattr(self, name, table)
        return table

    def apply(self, kind: str, payload: Any, offset: int) -> bool:
        """Take in one line; False when its payload is not what its type needs (then nothing changes)."""
        self.lines += 1
        handler = _HANDLERS.get(kind)
        if handler is None:
            return True
        try:
            handler(self, payload, offset)
        except (KeyError, TypeError, AttributeError, ValueError):
            return False
        return True

    def offsets(self, key: str) -> tuple[int, ...]:
        """Where the records of ``key`` lie, newest first."""
        return tuple(reversed(self.keys.get(key, ())[1::2]))

    def stats(self, instance: str) -> Stats | None:
        """What the last record of ``instance`` measured."""
        entry = self.latest.get(instance)
        return Stats(*entry[2]) if entry else None

    def dump(self) -> tuple[Any, ...]:
        """The tables as built-in types, for `load`."""
        packed = self._packed
        tables = (
            packed[n] if n in packed else marshal.dumps(getattr(self, n), MARSHAL_VERSION) for n in _TABLES
        )
        return (self.lines, *tables)

    @classmethod
    def load(cls, dumped: Any) -> Index | None:
        """Tables from `dump`, None when ``dumped`` is something else."""
        if not isinstance(dumped, tuple) or len(dumped) != len(_TABLES) + 1 or not isinstance(dumped[0], int):
            return None
        index = cls()
        index.lines = dumped[0]
        index._packed = dict(zip(_TABLES, dumped[1:], strict=True))
        return index if all(isinstance(table, bytes) for table in dumped[1:]) else None

    # One line type each. A handler reads all it needs before it changes anything.

    def _record(self, payload: Any, offset: int) -> None:
        key, instance = payload["key"], payload["instance"]
        variant, outputs = variant_of(payload), payload.get("outputs") or {}
        trees = payload.get("trees") or {}
        measures = tuple(
            payload.get(name) or default for name, default in zip(_MEASURES, Stats(), strict=True)
        )
        step = payload.get("step") or instance.partition("[")[0]
        tokens = [outputs[path] for path in trees if path in outputs]
        _check_texts(key, instance, step, *outputs, *outputs.values())
        old = self.keys.get(key, ())
        if variant in old[::2]:
            at = old.index(variant)
            old = old[:at] + old[at + 2 :]
        self.keys[key] = (*old, variant, offset)
        self.latest[instance] = (offset, step, measures)
        self.made.update(outputs)
        for path in outputs:
            self.makers[path] = instance
        for token in tokens:
            self.trees[token] = offset
        self.begins.pop(instance, None)
        self.fails.pop(instance, None)

    def _made(self, payload: Any, offset: int) -> None:
        paths, instance = payload["paths"], payload["instance"]
        _check_texts(instance, *paths, *paths.values())
        self.made.update(paths)
        for path in paths:
            self.makers[path] = instance
        offsets = self.offsets(payload.get("key") or "")
        if offsets:
            known = self.latest.get(instance)
            self.latest[instance] = (offsets[0], *(known[1:] if known else (instance.partition("[")[0], ())))

    def _gone(self, payload: Any, offset: int) -> None:
        paths = payload["paths"]
        _check_texts(*paths)
        for path in paths:
            self.made.pop(path, None)
            self.makers.pop(path, None)

    def _begin(self, payload: Any, offset: int) -> None:
        instance = payload["instance"]
        _check_texts(instance)
        self.begins[instance] = payload

    def _fail(self, payload: Any, offset: int) -> None:
        instance = payload["instance"]
        _check_texts(instance)
        self.begins.pop(instance, None)
        if not payload.get("lost"):
            self.fails[instance] = offset

    def _forget(self, payload: Any, offset: int) -> None:
        key, variant = payload["key"], payload.get("variant")
        old = self.keys.get(key, ())
        dropped = {o for v, o in zip(old[::2], old[1::2], strict=True) if variant in (None, v)}
        kept = tuple(x for v, o in zip(old[::2], old[1::2], strict=True) if o not in dropped for x in (v, o))
        if kept:
            self.keys[key] = kept
        else:
            self.keys.pop(key, None)
        for instance in [
            i for i in payload.get("instances") or () if self.latest.get(i, (-1,))[0] in dropped
        ]:
            del self.latest[instance]


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
