"""What a module of f0make's leads to: the modules that it imports, read from its text without executing it.

By expressions over lines rather than a syntax tree, which takes twenty times as long; a test holds
that both find the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

_PACKAGE = "f0make"
_FOR_CHECKERS = re.compile(r"^if TYPE_CHECKING:\n(?:[ \t]+\S.*\n|[ \t]*\n)+(else:)?", re.MULTILINE)
_IMPORT = re.compile(
    rf"^[ \t]*(?:from ({_PACKAGE}[\w.]*) import (?:\(([^)]*)\)|([^(\n]+))|import ({_PACKAGE}[\w.]*))",
    re.MULTILINE,
)


def closure(roots: Iterable[str], read: Callable[[str], bytes | None]) -> dict[str, bytes]:
    """Path -> text of the files ``roots`` and of all of f0make that they import, now or later, themselves or by others.

    Paths are relative to the directory of the package, such as ``f0make/errors.py``. ``read`` gives a file's text,
    None where there is no such file. What is imported for type checkers only does not count; with an ``else:`` beside it the same
    is imported under another name (`worker/runtime`).
    """
    found: dict[str, bytes] = {}
    absent: set[str] = set()
    pending = list(roots)
    while pending:
        path = pending.pop()
        if path in found or path in absent:
            continue
        text = read(path)
        if text is None:
            absent.add(path)
            continue
        found[path] = text
        pending += imported(text.decode("utf-8"))
        parts = path.split("/")[:-1]
        pending += ["/".join([*parts[: n + 1], "__init__.py"]) for n in range(len(parts))]
    return found


def imported(text: str) -> Iterator[str]:
    """Where the modules that ``text`` imports may lie: of each a file and a package, of which one at most exists."""
    for package, in_brackets, plain, module in _IMPORT.findall(_FOR_CHECKERS.sub(_unless_renamed, text)):
        if module:
            yield from _files(module)
            continue
        yield from _files(package)
        for name in (in_brackets or plain.partition("#")[0]).split(","):
            if words := name.split():
                yield from _files(f"{package}.{words[0]}")


def _unless_renamed(block: re.Match[str]) -> str:
    return block[0] if block[1] else ""


def _files(module: str) -> tuple[str, str]:
    base = module.replace(".", "/")
    return f"{base}.py", f"{base}/__init__.py"
