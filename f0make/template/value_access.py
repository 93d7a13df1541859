"""`value.name`, `value[0]`: the only ways into a value, and what is said when they lead nowhere."""

from __future__ import annotations

from collections.abc import Iterable

from f0make.template.template_values import NamedPaths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RESERVED = frozenset({"config", "env", "inputs", "outputs", "resources", "step", "steps", "attempt"})
"""Names with a meaning of their own; no variable may be called so."""

ORDER = "known in this order: variables, env and resources, inputs, outputs, then everything else"


class EvaluationError(Exception):
    """An expression that comes to nothing: why, and what was probably meant."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Missing(EvaluationError):
    """A name, key or index that leads to nothing."""


def suggestion(name: str, known: Iterable[str]) -> str:
    """What ``name`` was probably meant to be, else the few names that are known."""
    from f0make.suggest import nearest

    names = [str(k) for k in known]
    near = nearest(name, names)
    if near is not None:
        return f"did you mean `{near}`?"
    if not names:
        return ""
    more = ", …" if len(names) > 8 else ""
    return f"known: {', '.join(sorted(names)[:8])}{more}"


def unknown_name(name: str, known: Iterable[str]) -> Missing:
    """The error for a name that stands for nothing where it is used."""
    if name == "attempt":
        return Missing(
            "`attempt` is not known here: foreach, inputs and outputs are the same in every attempt",
            "it can be used in env, resources, run, args and the like",
        )
    if name in RESERVED:
        return Missing(f"`{name}` is not known yet here", ORDER)
    return Missing(f"`{name}` is not defined", suggestion(name, known))


def attribute(value: Any, name: str) -> Any:
    """``value.name``: a key of a map, a name of a map of paths, what an object of a scope offers.

    Raises Missing.
    """
    if isinstance(value, dict):
        try:
            return value[name]
        except KeyError:
            raise Missing(f"`{name}` is not defined", suggestion(name, value)) from None
    if isinstance(value, NamedPaths):
        try:
            return value.named[name]
        except KeyError:
            raise Missing(f"no path is called `{name}`", suggestion(name, value.named)) from None
    offer = getattr(type(value), "template_get", None)
    if offer is not None:
        return offer(value, name)
    if isinstance(value, list):
        raise Missing(f"`{name}` is not defined: this is a list", "items of a list are [0], [1], …")
    raise Missing(f"`{name}` is not defined: this is {_kind(value)} without attributes")


def item(value: Any, key: Any) -> Any:
    """``value[key]``. Raises Missing."""
    if isinstance(key, str):
        return attribute(value, key)
    if isinstance(value, dict) and not isinstance(key, (list, dict, set, slice)):
        text = str(key)
        if text in value:
            return value[text]
        raise Missing(f"{text} is no key of this map", suggestion(text, value))
    if isinstance(value, (list, tuple, str, range)):
        try:
            return value[key]
        except IndexError:
            raise Missing(f"[{key}] is beyond the end of a list of {len(value)}") from None
        except (TypeError, ValueError):
            raise Missing("an index must be a whole number") from None
    raise Missing(f"{_kind(value)} has no [{key}]")


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "text"
    if isinstance(value, (int, float)):
        return "a number"
    return "a value"
