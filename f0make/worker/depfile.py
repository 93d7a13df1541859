"""Read Make-syntax dependency files as gcc, clang and their imitators write them. Pure but for `prerequisites`' caller."""

from __future__ import annotations

import os
import posixpath
import re

_TOKEN = re.compile(
    r"""(?P<join>\\\r?\n)                              # a continued line
      | (?P<end>\r?\n)
      | (?P<blank>[ \t]+)
      | (?P<colon>::?(?=[ \t\r\n]|\\\r?\n|$))          # a colon inside a word (C:/x.h) is part of it
      | (?P<slashes>\\+)(?P<escaped>[ \t#:]?)
      | \$\$ (?P<dollar>)
      | (?P<text>[^\\ \t\r\n:$]+|[:$\r])""",
    re.VERBOSE,
)


class DepfileError(ValueError):
    """Text that is no dependency file; the message says where."""


def parse(text: str) -> list[str]:
    """All prerequisites in the order of the text, each once, as written but unescaped.

    A rule without prerequisites (the phony targets of ``-MP``) adds nothing. Raises DepfileError.
    """
    found: dict[str, None] = {}
    for number, words, colon in _rules(text):
        if colon is None:
            raise DepfileError(f"line {number} has no colon after its target")
        found.update(dict.fromkeys(words[colon:]))
    return list(found)


def _rules(text: str) -> list[tuple[int, list[str], int | None]]:
    """(line, words, how many of them stand before the colon) of each logical line."""
    rules: list[tuple[int, list[str], int | None]] = []
    words: list[str] = []
    word: str | None = None
    colon: int | None = None
    line = first = 1
    comment = False
    for match in _TOKEN.finditer(text + "\n"):
        kind = match.lastgroup
        if kind == "join":
            line += 1
        if kind in ("join", "end", "blank", "colon"):
            if word is not None:
                words.append(word)
                word = None
            if kind == "colon" and colon is None and not comment:
                colon = len(words)
            elif kind == "colon" and not comment:
                word = match[0]
            elif kind == "end":
                if words or colon is not None:
                    rules.append((first, words, colon))
                words, colon, comment = [], None, False
                line += 1
                first = line
        elif comment:
            continue
        elif kind == "escaped":
            slashes, after = match["slashes"], match["escaped"]
            if not after:
                word = (word or "") + slashes
            elif len(slashes) % 2:
                # 2N+1 backslashes quote what follows; the pairs before stay as gcc doubled them.
                word = (word or "") + "\\" * (len(slashes) // 2) + after
            else:
                word = (word or "") + slashes
                if after == "#" or after == ":":
                    word += after
                else:
                    words.append(word)
                    word = None
        elif kind == "dollar":
            word = (word or "") + "$"
        elif match[0].startswith("#") and word is None:
            comment = True
        else:
            word = (word or "") + match[0]
    return rules


def prerequisites(data: bytes, roots: tuple[str, ...], depfile: str = "") -> list[str]:
    """Prerequisites named in ``data``, normalised as inputs are: relative where they lie below one of ``roots``.

    ``roots`` are absolute spellings of the workspace; ``depfile`` itself is left out. Raises DepfileError.
    """
    found: dict[str, None] = {}
    for path in parse(os.fsdecode(data)):
        normal = posixpath.normpath(path)
        for root in roots:
            if normal.startswith(root.rstrip("/") + "/"):
                normal = normal[len(root.rstrip("/")) + 1 :]
                break
        if normal != depfile and normal not in roots:
            found[normal] = None
    return list(found)
