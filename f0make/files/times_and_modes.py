"""Times and rights of outputs, as records keep them. Pure.

``times`` maps an output's path to its mtime in ns, ``modes`` to its permission bits where they are not those that the
umask gives. For an output directory both hold a map instead: path inside it ("" for itself) -> value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from f0make.files.content_digest import blob_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Values = dict[str, int | dict[str, int]]
    """``times`` or ``modes`` of a record."""

RIGHTS = 0o777
"""What is kept of a file's mode: an identity (setuid, setgid) comes from the user alone."""
DIRECTORY_RIGHTS = 0o3777
"""What is kept of a directory's mode: setgid and sticky only say what becomes of the files in it."""
_FOR_OTHERS = 0o004
_LONG = 1 << 62


class Marks:
    """What one output gets beside its content; ``time`` and ``mode`` are asked with a path inside it, "" for itself."""

    def __init__(self, record: Mapping[str, Any], path: str) -> None:
        self._times = _inside(record, "times", path)
        self._modes = _inside(record, "modes", path)

    def time(self, inside: str = "") -> int | None:
        """The mtime in ns; None: now."""
        return self._times.get(inside)

    def mode(self, inside: str = "", directory: bool = False) -> int | None:
        """The permission bits; None: what the umask gives."""
        mode = self._modes.get(inside)
        return None if mode is None else mode & (DIRECTORY_RIGHTS if directory else RIGHTS)

    def directories(self) -> list[str]:
        """The paths that have rights of their own, the innermost first."""
        return sorted(self._modes, key=len, reverse=True)


def noted(mode: int, umask: int, directory: bool = False) -> int | None:
    """What a record keeps of ``mode``; None where every umask that lets others read gives the same by itself."""
    kept = mode & (DIRECTORY_RIGHTS if directory else RIGHTS)
    default = 0o777 if directory or mode & 0o100 else 0o666
    if kept == default & ~umask and kept & _FOR_OTHERS:
        return None
    return kept


def private(mode: int, umask: int) -> bool:
    """Whether a step took a file's ``mode`` away from others: it is not just what the ``umask`` gives."""
    return not mode & _FOR_OTHERS and mode & RIGHTS != (0o777 if mode & 0o100 else 0o666) & ~umask


def has_private(record: Mapping[str, Any], umask: int) -> bool:
    """Whether an output of ``record``, or a file in one, is not for others."""
    for path, values in (record.get("modes") or {}).items():
        if isinstance(values, int):
            if private(values, umask):
                return True
            continue
        tree = record.get("trees", {}).get(path, {})
        for inside, mode in values.items():
            if private(mode, umask) and (inside in tree or not mode & 0o005):
                return True
    return False


def private_blobs(
    outputs: Mapping[str, str], trees: Mapping[str, Mapping[str, str]], modes: Mapping[str, Any]
) -> dict[str, int]:
    """Digest -> rights, of the files among ``outputs`` that are not for others, unless one of the same content is."""
    found: dict[str, int] = {}
    open_to_all: set[str] = set()
    for path, token in outputs.items():
        kept = modes.get(path, {})
        for inside, entry in trees[path].items() if path in trees else (("", token),):
            mode = kept if isinstance(kept, int) else kept.get(inside)
            if mode is None or mode & _FOR_OTHERS:
                open_to_all.add(blob_of(entry))
            else:
                found[blob_of(entry)] = found.get(blob_of(entry), 0) | mode
    return {digest: mode for digest, mode in found.items() if digest not in open_to_all}


def tamed(record: Mapping[str, Any], umask: int) -> Mapping[str, Any]:
    """``record``, made elsewhere, without rights to write that the ``umask`` withholds here."""
    modes = record.get("modes")
    if not modes:
        return record
    mask = ~(umask & 0o022)
    return {
        **record,
        "modes": {
            path: values & mask if isinstance(values, int) else {p: m & mask for p, m in values.items()}
            for path, values in modes.items()
        },
    }


def flat(values: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """(path in the workspace, value) of every file in ``times`` or ``modes``."""
    for path, value in values.items():
        if isinstance(value, int):
            yield path, value
        else:
            for inside, one in value.items():
                yield f"{path}/{inside}" if inside else path, one


def sound(record: Mapping[str, Any]) -> bool:
    """Whether ``times`` and ``modes`` of a record or an outcome have their form, and tell of its outputs only."""
    outputs = record.get("outputs") or {}
    for name, least, most in (("times", -_LONG, _LONG), ("modes", 0, 0o7777)):
        values = record.get(name)
        if values is None:
            continue
        if not isinstance(values, dict) or not all(path in outputs for path in values):
            return False
        for path, value in values.items():
            if isinstance(value, dict) != (path in (record.get("trees") or {})):
                return False
            inner = value.values() if isinstance(value, dict) else (value,)
            if not all(type(v) is int and least <= v <= most for v in inner):
                return False
    return all(_agrees(record, path, value) for path, value in (record.get("modes") or {}).items())


def _agrees(record: Mapping[str, Any], path: str, modes: int | Mapping[str, int]) -> bool:
    """Whether the ``modes`` of the output ``path`` say of the same files as their tokens that they are executable.

    What was restored by others would count as altered ever after.
    """
    if isinstance(modes, int):
        tokens, modes = {"": record["outputs"][path]}, {"": modes}
    else:
        tokens = record["trees"][path]
    return all(
        bool(mode & 0o100) == (tokens[inside][-1:] == "x")
        for inside, mode in modes.items()
        if inside in tokens and tokens[inside][-1:] != "/" and tokens[inside][:1] != "@"
    )


def _inside(record: Mapping[str, Any], name: str, path: str) -> Mapping[str, int]:
    values = (record.get(name) or {}).get(path)
    return {} if values is None else {"": values} if isinstance(values, int) else values


NO_MARKS = Marks({}, "")
"""Of an output of which nothing is recorded: the time is now, the rights are what the umask gives."""
