"""Text that a shell or an interpreter runs: each value is written so that it arrives as itself, or refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

from f0make.lazy_re import later
from f0make.model import DEFAULT_SHELL
from f0make.template.plain_substitution import Simple
from f0make.template.quote import UNSAFE, quote
from f0make.template.render_text import FEW, Piece, Scope, Template, TemplateError, no_longer
from f0make.template.template_values import Broken, to_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from f0make.template.shelltext.spot import Refusal

Write: TypeAlias = "Callable[[Any], str]"
"""A value as text for its place. Raises NotText, Misplaced and Broken."""

_PLAIN = later(
    r"[ \t\n]*(?:cp|mv|ln|cat|touch|mkdir|cc|gcc|g\+\+|sort|head|tail|wc|echo)"
    r"(?:[ \t]+(?:[\w./-][\w./:,@%+-]*|\0))+[ \t\n]*",
    re.ASCII,
)
"""A simple command that evaluates none of its arguments, with values that are words by themselves."""

_MAY_BE_NUMBER = later(
    r"\b(?:raw|int|float|length|count|wordcount|sum|abs|round|min|max|first|last|if|resources|attempt|index|find|"
    r"rfind|config|range)\b|[-+*/%]"
)
"""An expression with one of these may come to a number, or to raw text."""
_NUMBERS = frozenset({"resources", "attempt", "config"})
"""Names under which there may be numbers."""


class Command(Template):
    """A text with expressions that a shell, or the interpreter of a `#!` script, runs."""

    __slots__ = ("_bare", "_end", "_readings", "_steps")

    def __init__(self, text: str, key: str = "", steps: Iterable[str] = ()) -> None:
        """Raises TemplateError as Template does."""
        super().__init__(text, key, steps)
        self._around = None
        self._readings: dict[str | None, list[Write] | None] = {}
        self._bare, self._end = _bare(self.parts)

    def read(self, shell: str | None) -> list[Write] | None:
        """How each value is written where ``shell`` runs the text; None where each is a plain word.

        Raises TemplateError for values that no quoting makes right; it has one error for each.
        """
        if shell == DEFAULT_SHELL:
            shell = None
        if shell not in self._readings:
            self._readings[shell] = self._read(shell)
        return self._readings[shell]

    def _read(self, shell: str | None) -> list[Write] | None:
        text = "".join(part if isinstance(part, str) else "\0" for part in self.parts)
        if text.count("\0") != len(self.pieces()):
            raise self.fail("this holds a NUL character, which no command can hold")
        places = _places(text, shell)
        return None if places is None else self._checked(places)

    def _checked(self, places: list[tuple[Write, Refusal | None]]) -> list[Write]:
        """The writers; raise what is wrong with any value whatever it will be."""
        errors = []
        writers: list[Write] = []
        for piece, (write, refusal) in zip(self.pieces(), places, strict=True):
            if refusal is not None and not piece.names:
                write = to_text  # `${{ '${{' }}`: no value, but a way to write this text
            elif refusal is not None and not piece.broken and not _may_pass(piece, refusal):
                error = refusal.error()
                errors.append(self._at(piece, error.message, error.hint))
            writers.append(write)
        if errors:
            errors[0].others += errors[1:]
            raise errors[0]
        return writers

    def plain(self, shell: str | None, scope: Scope) -> str | None:
        """The text where all values are single words that need no quotes and are no options; else None.

        Most commands are, and there may be 100,000 of one. Raises TemplateError as `read`.
        """
        bare = self._bare
        if bare is None or self.read(shell) is not None:
            return None
        out: list[str] = []
        for before, name, index in bare:
            value = scope.get(name)
            if isinstance(value, list):
                if index is None and len(value) == 1:
                    value = value[0]
                elif index is not None and index < len(value):
                    value = value[index]
            elif index is not None:
                return None
            if type(value) is not str or not value or UNSAFE.search(value) is not None:
                return None
            if "-" in value and (value[0] == "-" or "/-" in value):
                return None
            out += before, value
        out.append(self._end)
        return "".join(out)

    def run_by(self, shell: str | None, scope: Scope) -> str:
        """The text for one instance. Raises TemplateError and Broken as `render` does."""
        writers = self.read(shell)
        try:
            if writers is None:
                texts = (part if isinstance(part, str) else self._word(part, scope) for part in self.parts)
            else:
                ways = iter(writers)
                texts = (
                    part if isinstance(part, str) else self.convert(part, scope, next(ways))
                    for part in self.parts
                )
            out = list(texts) if len(self.parts) <= FEW else no_longer(texts)
        except (TemplateError, Broken) as error:
            self._explain(scope, error, writers or [quote] * len(self.pieces()))
            raise
        command = self.joined(out)
        if command[:2] == "#!" and not self.text.startswith("#!"):
            raise self.fail("the `#!` of a script must stand in the recipe itself, not in a value")
        return command

    def key_text(self, shell: str | None, scope: Scope, unkeyed: frozenset[str]) -> str:
        """The text as it stands in the key. Raises as `run_by`."""
        from f0make.template.keyed import key_text

        return key_text(self, self.read(shell) or [quote] * len(self.pieces()), scope, unkeyed)

    def render(self, scope: Scope) -> str:
        """The text for the default shell."""
        return self.run_by(None, scope)

    def _word(self, piece: Piece, scope: Scope) -> str:
        """A value that is a word by itself."""
        if piece.bare is not None and not piece.broken:
            value = scope.get(piece.bare)
            if isinstance(value, list) and len(value) == 1:
                value = value[0]
            if type(value) is str and value and UNSAFE.search(value) is None:
                return value
        return str(self.convert(piece, scope, quote))


def _bare(parts: list[str | Piece]) -> tuple[list[tuple[str, str, int | None]] | None, str]:
    """(what stands before each value, its variable, the index in that), and what follows the last.

    None where an expression is more than ``name`` or ``name[0]``.
    """
    out: list[tuple[str, str, int | None]] = []
    before = ""
    for part in parts:
        if isinstance(part, str):
            before = part
            continue
        found = _name_and_index(part)
        if found is None:
            return None, ""
        out.append((before, *found))
        before = ""
    return out, before


def _name_and_index(piece: Piece) -> tuple[str, int | None] | None:
    if piece.bare is not None:
        return piece.bare, None
    simple = piece.evaluate
    if isinstance(simple, Simple) and simple.filter is None and len(simple.path) == 1:
        (index,) = simple.path
        if isinstance(index, int) and index >= 0:
            return simple.root, index
    return None


@lru_cache(maxsize=1024)
def _places(text: str, shell: str | None) -> list[tuple[Write, Refusal | None]] | None:
    """For each NUL of ``text``, how a value is written there, and why none can stand there; None for plain words."""
    if text.startswith("#!"):
        from f0make.template.script_text import read_script

        return [(place.write, place.refusal) for place in read_script(text)]
    if shell is None and _PLAIN.fullmatch(text):
        return None
    from f0make.template.shelltext.dialect import Dialect, dialect_of

    words = _split(shell)
    dialect = dialect_of(words) if words else Dialect("bash", certain=False)
    if dialect is None:
        from f0make.template.script_text import read_code

        return [(place.write, place.refusal) for place in read_code(text, words)]
    from f0make.template.shelltext.grammar import read

    return [(spot.write, spot.refusal) for spot in read(text, dialect)]


def _split(shell: str | None) -> list[str]:
    """The words of ``shell``, none for the default."""
    if shell is None:
        return []
    from shlex import split

    try:
        return split(shell) or [shell]
    except ValueError:
        return [shell]


def _may_pass(piece: Piece, refusal: Refusal) -> bool:
    """Whether a value of ``piece`` may be one that stands at a place which refuses others: raw text, a number."""
    evaluate = piece.evaluate
    if not isinstance(evaluate, Simple):
        return _MAY_BE_NUMBER.search(piece.source) is not None
    if evaluate.filter == "raw":
        return True
    return evaluate.filter is None and evaluate.root in _NUMBERS and refusal.kind != "other"
