"""Values -> words of a POSIX shell."""

from __future__ import annotations

import re

from f0make.lazy_re import later
from f0make.template.template_values import NotText, Quoted, Raw, to_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

UNSAFE = later(r"[^\w@%+=:,./-]", re.ASCII)
"""The same characters that shlex.quote considers (whose import costs more than this module)."""


def quote_text(text: str) -> str:
    """``text`` as one word of a shell: single quotes around it where it needs them.

    Raises NotText for a NUL, which no command line can hold.
    """
    if not text:
        return "''"
    if UNSAFE.search(text) is None:
        return text
    if "\0" in text:
        raise NotText("this holds a NUL character, which no command can hold")
    return "'" + text.replace("'", "'\"'\"'") + "'"


def quote(value: Any) -> str:
    """``value`` for a shell: each item of a list is one word, `raw` text stays as it is.

    Raises NotText as `to_text` does.
    """
    if type(value) is str:
        return quote_text(value)
    if isinstance(value, (Raw, Quoted)):
        return value
    if isinstance(value, (list, tuple, set, range)):
        return " ".join(map(quote, value))
    return quote_text(to_text(value))


def quoted(value: Any) -> Quoted:
    """What `| quote` makes of ``value``. Raises NotText as `quote`."""
    words = Quoted(quote(value))
    words.value = value.value if isinstance(value, Quoted) else value
    return words
