"""strictyaml's own word on a text, with the schema that our validator uses.

strictyaml is the authority on what StrictYAML is, but takes milliseconds for a step and quadratic time for
a document, loses lines after folded text, and crashes on some input. So it is asked step by step, only
about text that our reader accepted, and only for its yes or no; a test keeps the two readers equal.
"""

from __future__ import annotations

from functools import cache

from f0make.model import TEMPLATE_OPEN
from f0make.recipe.finding import Finding
from f0make.recipe.kinds import Fields, Kind, Many, Mapped, OneOf, Scalar
from f0make.recipe.quick_strictyaml import import_strictyaml

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST_LINES = 200
"""Texts of more lines are left to the fast reader alone."""


def refusal(text: str, kind: Kind, offset: int = 0) -> Finding | None:
    """strictyaml's complaint about ``text``, or None."""
    if text.count("\n") > MOST_LINES:
        return None
    import_strictyaml()
    import strictyaml

    try:
        strictyaml.load(text, strict_schema(kind))
    except strictyaml.YAMLError as error:
        return _finding(error, offset)
    except Exception:
        # a crash (it has known ones) is no verdict
        return None
    return None


def _finding(error: Any, offset: int) -> Finding:
    from strictyaml import YAMLValidationError

    words = " ".join(part for part in (error.context, error.problem) if part)
    # the places of validation errors come from a re-dumped document, so only the text's first line is sure
    mark = None if isinstance(error, YAMLValidationError) else error.problem_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    return Finding(line + offset, column, f"strictyaml refuses this: {words}")


@cache
def strict_schema(kind: Kind) -> Any:
    """The strictyaml validator that accepts what ``kind`` describes."""
    import strictyaml as s

    if isinstance(kind, Scalar):
        return _scalar_validator(kind)
    if isinstance(kind, Many):
        return s.Seq(strict_schema(kind.item))
    if isinstance(kind, Mapped):
        # where the kind depends on the key, the key is not known to strictyaml: text then
        return s.MapPattern(s.Str(), s.Str() if kind.named else strict_schema(kind.value))
    if isinstance(kind, Fields):
        return s.Map(
            {
                name if name in kind.required else s.Optional(name): strict_schema(value)
                for name, value in kind.fields.items()
            }
        )
    if isinstance(kind, OneOf):
        return _one_of([strict_schema(k) for k in (kind.text, kind.items, kind.entries) if k is not None])
    return s.Any()


def _one_of(validators: list[Any]) -> Any:
    chain = validators[0]
    for validator in validators[1:]:
        chain = chain | validator
    return chain


def _scalar_validator(kind: Scalar) -> Any:
    import strictyaml as s

    class Converted(s.ScalarValidator):  # type: ignore[misc]
        """Text that the recipe schema's own converter accepts."""

        def validate_scalar(self, chunk: Any) -> Any:
            text = chunk.contents
            if TEMPLATE_OPEN in text and not kind.template:
                chunk.expecting_but_found("a template cannot stand here")
            if kind.convert is None or (kind.template and TEMPLATE_OPEN in text) or (kind.empty and not text):
                return text
            try:
                return kind.convert(text)
            except ValueError as error:
                chunk.expecting_but_found(str(error))

    return Converted()
