"""`Context`: the values that python steps share, and who set them.

Every interpreter of a python step reads this module, whichever it is (Python 3.9 and later): it imports nothing that
a workspace could shadow, and nothing else of f0make.
"""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any


_DIGITS = 1000
_DEPTH = 150
"""What a record may hold: `f0make.ascii_json` reads no longer numbers, and nothing that is nested deeper than a little more."""
_MOST = 10**_DIGITS
_INFINITY = float("inf")
ALL_KEYS = ""
"""Stands in `Context.reads` for "the list of keys was asked for"; no key can be empty."""


class ContextError(Exception):
    """A read of what only a step that is no ancestor sets."""


class Paths(list[str]):
    """Paths in the order declared; those declared under a name are also found by it.

    ``paths["name"]`` and ``paths.name`` give one path, or a list where a list was declared.
    """

    def __init__(self, paths: Iterable[str] = (), named: Mapping[str, str | list[str]] | None = None) -> None:
        super().__init__(paths)
        self._named = dict(named or {})

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, str):
            if index in self._named:
                return self._named[index]
            raise KeyError(f"no path is declared under the name {index!r}{self._known()}")
        return super().__getitem__(index)

    def __getattr__(self, name: str) -> str | list[str]:
        if not name.startswith("_") and name in self._named:
            return self._named[name]
        raise AttributeError(f"no path is declared under the name {name!r}{self._known()}")

    def _known(self) -> str:
        return f" (there are: {', '.join(self._named)})" if self._named else ""


class StepView:
    """What a python step may know about itself: ``ctx.step``."""

    def __init__(
        self,
        name: str = "",
        inputs: Paths | None = None,
        outputs: Paths | None = None,
        resources: Mapping[str, float | int] | None = None,
        attempt: int = 1,
        instance: str = "",
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.instance = instance or name
        self.inputs = inputs if inputs is not None else Paths()
        self.outputs = outputs if outputs is not None else Paths()
        self.resources = dict(resources or {})
        self.attempt = attempt
        self.extra = dict(extra or {})
        """Values of the step's keys that f0make itself only hands on."""


class Context:
    """Values by key. Only JSON-safe values, so that they can be recorded and replayed.

    ``values`` are there at first; ``foreign`` maps keys that may not be read here to the step that sets them;
    ``step`` describes the running step; ``history`` are earlier writes, as `history` gives them.
    """

    def __init__(
        self,
        values: Mapping[str, Any] | None = None,
        *,
        foreign: Mapping[str, str] | None = None,
        step: StepView | None = None,
        history: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        self._values = {key: json_safe(key, value) for key, value in (values or {}).items()}
        self._foreign = dict(foreign or {})
        self._history = [dict(entry) for entry in history]
        self._own: set[str] = set()
        self.step = step if step is not None else StepView()
        self.reads: dict[str, Any] = {}
        """Key -> value seen at the first read of each key that was there; see also ALL_KEYS."""
        self.missing_reads: list[str] = []
        """Keys asked for and missing."""
        self.writes: list[dict[str, Any]] = []
        """Every `set` in order: {"key", "value", "who", "when"}."""

    def get(self, key: str, default: Any = None) -> Any:
        """The value of ``key``, or ``default``.

        Raises ContextError when only a step that is no ancestor of this one sets it.
        """
        if key in self._own:
            return _copy(self._values[key])
        if key in self._values:
            self.reads.setdefault(key, _copy(self._values[key]))
            return _copy(self._values[key])
        if key in self._foreign:
            maker, me = self._foreign[key], self.step.name
            raise ContextError(
                f"context key {key!r} is set by step {maker!r}, which "
                + (f"{me!r} does not depend on" if me else "this step does not depend on")
                + f": add {maker!r} to depends_on"
                + (f" of {me!r}" if me else "")
            )
        if key not in self.missing_reads:
            self.missing_reads.append(key)
        return default

    def set(self, key: str, value: Any, who: str | None = None) -> None:
        """Set ``key`` to a copy of ``value``. Raises TypeError when it is not JSON-safe."""
        if not isinstance(key, str) or not key:
            raise TypeError(f"a context key is a text that is not empty, not {key!r}")
        safe = json_safe(key, value)
        entry = {
            "key": key,
            "value": safe,
            "who": who if who is not None else self.step.name,
            "when": time.time(),
        }
        self._history.append(
            {
                "when": entry["when"],
                "who": entry["who"],
                "step": self.step.instance,
                "key": key,
                "before": _copy(self._values.get(key)),
                "after": _copy(safe),
            }
        )
        self._values[key] = safe
        self._own.add(key)
        self.writes.append(entry)

    def keys(self) -> list[str]:
        """All keys that can be read here, sorted."""
        inherited = sorted(self._values.keys() - self._own)
        if ALL_KEYS not in self.reads and self.step.name:
            self.reads[ALL_KEYS] = inherited
        return sorted(self._values)

    def history(self) -> list[dict[str, Any]]:
        """Writes in order: {"when" (Unix time), "who", "step", "key", "before", "after"}."""
        return [dict(entry) for entry in self._history]


def json_safe(key: str, value: Any) -> Any:
    """A copy of ``value`` in JSON's own types (a tuple becomes a list).

    Raises TypeError naming ``key`` for anything that JSON cannot hold.
    """
    try:
        return _safe(key, value, _DEPTH)
    except RecursionError:
        raise TypeError(f"context value of {key!r} is nested too deeply, or contains itself") from None


def _safe(key: str, value: Any, depth: int) -> Any:
    if depth < 0:
        raise RecursionError
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(key, value)
    if isinstance(value, int):
        if abs(value) >= _MOST:
            raise TypeError(f"context value of {key!r} holds a number of more than {_DIGITS} digits")
        return int(value)
    if isinstance(value, float):
        if value != value or value in (_INFINITY, -_INFINITY):
            raise TypeError(f"context value of {key!r} holds {value!r}, which JSON cannot express")
        return float(value)
    if isinstance(value, (list, tuple)):
        return [_safe(key, item, depth - 1) for item in value]
    if isinstance(value, dict):
        for name in value:
            if not isinstance(name, str):
                raise TypeError(f"context value of {key!r} has a key that is no text: {name!r}")
        return {_text(key, name): _safe(key, item, depth - 1) for name, item in value.items()}
    raise TypeError(
        f"context value of {key!r} must be made of text, numbers, booleans, None, lists and maps, "
        f"not {type(value).__name__}"
    )


def _text(key: str, value: str) -> str:
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise TypeError(f"context value of {key!r} holds text that is no Unicode: {value!r}") from None
    return str.__str__(value)


def _copy(value: Any) -> Any:
    if isinstance(value, list):
        return [_copy(item) for item in value]
    if isinstance(value, dict):
        return {name: _copy(item) for name, item in value.items()}
    return value
