"""Show foreign text to a person.

Everything foreign (names, values, logs, errors) that goes to a terminal, a page or a drawing goes through here. What would
move a cursor, set a clipboard, hide or reorder text is written out: `\\x1b`, `\\u202e`. That is every control character (C0,
C1, DEL, and as undecodable bytes), line and paragraph separators, and what Unicode calls format characters: the marks of
bidirectional text, zero-width ones, tags (https://www.unicode.org/reports/tr36/, https://trojansource.codes).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re

_HIDING = (
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\ud800-\udc9f\udd00-\udfff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)
_BYTES = "[\udc80-\udcff]"


def visible(text: str) -> str:
    """``text`` on one line, whatever it holds."""
    return text if text.isprintable() else _replaced(_HIDING, text)


def visible_block(text: str) -> str:
    """``text`` with its line breaks and tabs."""
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "\n".join("\t".join(map(visible, line.split("\t"))) for line in text.split("\n"))


def drawable(text: str) -> str:
    """`visible_block`, with undecodable bytes written out too, for what must be well-formed Unicode."""
    return _replaced(_BYTES, visible_block(text))


def _replaced(pattern: str, text: str) -> str:
    import re  # most texts need none, and a run that changes one file imports none

    return re.sub(pattern, _escaped, text)


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
