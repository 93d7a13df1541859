"""The schema of recipes as JSON Schema (draft 2020-12), for editors: made of the kinds that also validate.

What f0make accepts, it accepts, whether the YAML reader that asks gives numbers and booleans a type or not. What it
refuses, f0make refuses; the rest (names of steps, what goes together) only `f0make validate` knows.
"""

from __future__ import annotations

from f0make.recipe.keys import STEP_KEYS
from f0make.recipe.kinds import Fields, Kind, Many, Mapped, OneOf, Scalar
from f0make.recipe.schema import HEAD, STEP
from f0make.recipe.top_keys import RECIPE_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_TEMPLATE = r"\$\{\{"


def recipe_schema() -> dict[str, Any]:
    """The JSON Schema of a recipe file."""
    return {
        "$schema": DIALECT,
        "title": "f0make recipe",
        **json_schema(HEAD, {name: key.doc for name, key in RECIPE_KEYS.items()}, {"steps": _steps()}),
        "$defs": {"step": json_schema(STEP, {name: key.doc for name, key in STEP_KEYS.items()})},
    }


def _steps() -> dict[str, Any]:
    return {
        "description": "the steps, at least one",
        "type": "array",
        "minItems": 1,
        "items": {"$ref": "#/$defs/step"},
    }


def json_schema(
    kind: Kind, docs: dict[str, str] | None = None, more: dict[str, dict[str, Any]] | None = None
) -> dict[str, Any]:
    """The JSON Schema of ``kind``; of a map of known keys with what ``docs`` says of each, and ``more`` keys."""
    if isinstance(kind, Scalar):
        return _scalar(kind)
    if isinstance(kind, Many):
        return {"type": "array", "minItems": 1, "items": json_schema(kind.item)}
    if isinstance(kind, Mapped):
        named = {name: json_schema(value) for name, value in kind.named.items()}
        return {
            "type": "object",
            **({"properties": named} if named else {}),
            "additionalProperties": json_schema(kind.value),
        }
    if isinstance(kind, Fields):
        known = {name: json_schema(value) for name, value in kind.fields.items()}
        described = {name: {"description": text, **known[name]} for name, text in (docs or {}).items()}
        return {
            "type": "object",
            "properties": {**known, **described, **(more or {})},
            **({"required": list(kind.required)} if kind.required else {}),
            "additionalProperties": False,
        }
    if isinstance(kind, OneOf):
        return {"anyOf": [json_schema(one) for one in (kind.text, kind.items, kind.entries) if one]}
    return {}


def _scalar(kind: Scalar) -> dict[str, Any]:
    if kind.words:
        return {"enum": list(kind.words)}
    types = ["string"]
    if _accepts(kind, "true"):
        types.append("boolean")
    if _accepts(kind, "1.5"):
        types.append("number")
    elif _accepts(kind, "1"):
        types.append("integer")
    if kind.empty:
        types.append("null")
    schema: dict[str, Any] = {"type": types}
    if kind.pattern:
        schema["pattern"] = f"{kind.pattern}|{_TEMPLATE}" if kind.template else kind.pattern
    if not _accepts(kind, "0"):
        schema["exclusiveMinimum"] = 0
    elif not _accepts(kind, "-1"):
        schema["minimum"] = 0
    return schema


def _accepts(kind: Scalar, text: str) -> bool:
    try:
        if kind.convert is not None:
            kind.convert(text)
    except ValueError:
        return False
    return True
