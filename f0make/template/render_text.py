"""One text of a recipe, compiled once and rendered for each instance."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from f0make.allowance import scaled
from f0make.lazy_re import later
from f0make.template.plain_substitution import compile_simple
from f0make.template.scan_text import ScanError, scan
from f0make.template.template_values import Broken, Misplaced, NotText, to_text, to_texts
from f0make.template.value_access import EvaluationError, unknown_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

Scope: TypeAlias = "Mapping[str, Any]"

_FORGIVING = later(r"\b(?:default|defined|undefined|d)\b")
"""An expression with one of these may name what is not there."""


class TemplateError(Exception):
    """What is wrong with a template, and where in its text."""

    def __init__(self, template: Template, offset: int, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.template = template
        self.offset = offset
        """Of the `${{` at fault in ``template.text``."""
        self.message = message
        self.hint = hint
        self.others: list[TemplateError] = []
        """What is wrong with further expressions of the same text."""


class Piece:
    """One expression of a template."""

    __slots__ = ("bare", "broken", "evaluate", "names", "offset", "source")

    def __init__(
        self,
        source: str,
        offset: int,
        evaluate: Callable[[Scope], Any],
        names: frozenset[str],
        bare: str | None,
    ) -> None:
        self.source = source
        self.offset = offset
        self.evaluate = evaluate
        self.names = names
        """Names at the root of what it uses."""
        self.bare = bare
        """The variable that it is, where it is nothing else."""
        self.broken = False
        """True when it is known to come to nothing, and that has been said: evaluating it raises Broken."""


MAX_RENDERED = scaled(32_000_000)
"""Characters of a text with the values of its expressions."""
FEW = 8
"""Parts of a text that may be made before their length is looked at."""


def no_longer(texts: Iterable[str]) -> list[str]:
    """``texts``, up to the one that makes them longer than `MAX_RENDERED`."""
    out: list[str] = []
    room = MAX_RENDERED
    for text in texts:
        out.append(text)
        room -= len(text)
        if room < 0:
            break
    return out


class Template:
    """A text with expressions; values are inserted as they are."""

    __slots__ = ("_around", "key", "names", "parts", "single", "text")

    def __init__(self, text: str, key: str = "", steps: Iterable[str] = ()) -> None:
        """``key`` is the place inside the step; ``steps`` are step names that are no identifiers.

        Raises TemplateError for a `${{` without end and for what is no expression.
        """
        self.text = text
        self.key = key
        self.parts: list[str | Piece] = []
        try:
            found = scan(text)
        except ScanError as error:
            raise TemplateError(
                self, error.offset, str(error), "a quote or bracket in it may be open"
            ) from None
        for part in found:
            self.parts.append(part if isinstance(part, str) else self._piece(part.source, part.offset, steps))
        self.names: frozenset[str] = frozenset().union(*(piece.names for piece in self.pieces()))
        self.single = len(self.parts) == 1 and not isinstance(self.parts[0], str)
        self._around = _around(self.parts)
        """The commonest of all, a text with one variable in it: what stands before it, its name, what follows."""

    def _piece(self, source: str, offset: int, steps: Iterable[str]) -> Piece:
        source = spell_steps(source, steps)
        if not source.strip():
            raise TemplateError(self, offset, "an empty expression")
        simple = compile_simple(source)
        if simple is not None:
            bare = simple.root if not simple.path and simple.filter is None else None
            return Piece(source, offset, simple, frozenset({simple.root}), bare)
        from f0make.template.arithmetic import compile_arithmetic

        arithmetic = compile_arithmetic(source)
        if arithmetic is not None:
            return Piece(source, offset, arithmetic, arithmetic.names, None)
        from f0make.template.jinja_expressions import BadExpression, Compiled

        try:
            compiled = Compiled(source)
        except BadExpression as error:
            raise TemplateError(self, offset, error.message, error.hint) from None
        return Piece(source, offset, compiled, compiled.names, None)

    def pieces(self) -> list[Piece]:
        """The expressions in order."""
        return [part for part in self.parts if not isinstance(part, str)]

    def unknown(self, known: Iterable[str]) -> list[TemplateError]:
        """One error for each expression that uses a name beyond ``known`` (unless it asks whether it is).

        Those expressions count as broken from now on.
        """
        names = frozenset(known)
        errors = []
        for piece in self.pieces():
            if piece.names <= names or _FORGIVING.search(piece.source):
                continue
            missing = unknown_name(min(piece.names - names), names)
            errors.append(self._at(piece, missing.message, missing.hint))
            piece.broken = True
            self._around = None
        return errors

    def render(self, scope: Scope) -> str:
        """The text for one instance.

        Raises TemplateError, Broken for what has been reported before, and whatever the objects of the
        scope raise to ask for something (see `expand.missing_need`).
        """
        around = self._around
        if around is not None:
            before, name, after = around
            plain = scope.get(name)
            if type(plain) is str:
                return f"{before}{plain}{after}"
        try:
            texts = (part if isinstance(part, str) else self._text(part, scope) for part in self.parts)
            out = list(texts) if len(self.parts) <= FEW else no_longer(texts)
        except (TemplateError, Broken) as error:
            self._explain(scope, error, [to_text] * len(self.pieces()))
            raise
        return self.joined(out)

    def _text(self, piece: Piece, scope: Scope) -> str:
        value = scope.get(piece.bare) if piece.bare is not None else None
        return value if type(value) is str else str(self.convert(piece, scope, to_text))

    def joined(self, texts: list[str]) -> str:
        """``texts`` as one. Raises TemplateError where it is too long: texts that hold texts twice grow fast."""
        if sum(map(len, texts)) > MAX_RENDERED:
            raise self.fail(f"this makes a text of more than {MAX_RENDERED:,} characters")
        return "".join(texts)

    def _explain(
        self, scope: Scope, first: TemplateError | Broken, writers: Sequence[Callable[[Any], str]]
    ) -> None:
        """Raise everything that is wrong with the expressions as one TemplateError; return if all is said.

        ``first`` is what ended the rendering. Where that is the fault of another text, which is told once, it
        is among what is raised. ``writers``: how each value is written.
        """
        errors: list[TemplateError] = []
        if isinstance(first, TemplateError) and first.template is not self:
            errors.append(first)
        for piece, write in zip(self.pieces(), writers, strict=True):
            try:
                self.convert(piece, scope, write)
            except TemplateError as error:
                errors.append(error)
            except Broken:
                continue
        if errors:
            errors[0].others += errors[1:]
            raise errors[0] from None

    def value(self, scope: Scope) -> Any:
        """The value of the one expression that the text is (``single``), else the text. Raises as `render`."""
        if not self.single:
            return self.render(scope)
        return self.convert(self.pieces()[0], scope, _as_it_is)

    def texts(self, scope: Scope) -> list[str]:
        """The text, or the texts where it is one expression that comes to a list. Raises as `render`."""
        if not self.single:
            return [self.render(scope)]
        return list(self.convert(self.pieces()[0], scope, to_texts))

    def convert(self, piece: Piece, scope: Scope, into: Callable[[Any], Any]) -> Any:
        """The value of one expression of this template, turned ``into`` what is wanted. Raises as `render`."""
        if piece.broken:
            raise Broken
        try:
            return into(piece.evaluate(scope))
        except EvaluationError as error:
            raise self._at(piece, error.message, error.hint) from None
        except NotText as error:
            raise self._at(piece, f"{error} in `{piece.source.strip()}`") from None
        except Misplaced as error:
            raise self._at(piece, error.message, error.hint) from None

    def fail(self, message: str, hint: str = "") -> TemplateError:
        """An error about the text as a whole, placed at its first expression."""
        first = next(iter(self.pieces()), None)
        return TemplateError(self, first.offset if first else 0, message, hint)

    def _at(self, piece: Piece, message: str, hint: str = "") -> TemplateError:
        return TemplateError(self, piece.offset, message, hint)


def _around(parts: list[str | Piece]) -> tuple[str, str, str] | None:
    pieces = [part for part in parts if not isinstance(part, str)]
    if len(pieces) != 1 or pieces[0].bare is None:
        return None
    at = parts.index(pieces[0])
    texts = [part if isinstance(part, str) else "" for part in parts]
    return "".join(texts[:at]), pieces[0].bare, "".join(texts[at:])


def _as_it_is(value: Any) -> Any:
    return value


def spell_steps(source: str, steps: Iterable[str]) -> str:
    """``steps.my-step`` as ``steps['my-step']`` for those ``steps`` whose names are no identifiers.

    Strings of the expression stay as they are.
    """
    names = sorted((name for name in steps if not name.isidentifier()), key=len, reverse=True)
    if not names or "steps" not in source:
        return source
    any_name = "|".join(map(re.escape, names))
    pattern = rf"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|\bsteps\s*\.\s*({any_name})(?=\s*(?:\.|\(|$))"""
    return re.sub(pattern, lambda m: m[1] or f"steps[{m[2]!r}]", source, flags=re.DOTALL)
