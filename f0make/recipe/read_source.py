"""A recipe file's bytes as text, or the one clear reason why not."""

from __future__ import annotations

import os

from f0make.allowance import scaled
from f0make.errors import Problem, Where
from f0make.recipe.finding import Finding
from f0make.recipe.yaml_reader import forbidden, normalised
from f0make.regular_file import RECIPE, read_regular


class UnreadableError(Exception):
    """A file that cannot be read as text; ``problem`` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def read_text(path: str, shown: str) -> str:
    """The text of the file at ``path``, line breaks as newlines, no byte order mark.

    ``shown`` is what messages call the file. Raises UnreadableError.
    """
    try:
        data = read_regular(path, scaled(RECIPE))
    except FileNotFoundError:
        raise UnreadableError(Problem("there is no such file", Where(shown), hint=_alike(path))) from None
    except IsADirectoryError:
        raise UnreadableError(Problem("is a directory, not a recipe", Where(shown))) from None
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else str(error)) or "unknown error"
        text = reason if reason.startswith("is ") else f"cannot be read: {reason}"
        raise UnreadableError(Problem(text, Where(shown))) from None
    try:
        text = normalised(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UnreadableError(_not_utf8(data, error, shown)) from None
    bad = forbidden(text)
    if bad:
        raise UnreadableError(as_problem(bad, shown))
    return text


def as_problem(finding: Finding, file: str) -> Problem:
    """``finding`` in ``file``."""
    return Problem(finding.message, Where(file, finding.line, finding.column), hint=finding.hint)


def _not_utf8(data: bytes, error: UnicodeDecodeError, shown: str) -> Problem:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return Problem("is not UTF-8 but UTF-16", Where(shown, 1, 1), hint="save it as UTF-8")
    before = data[: error.start]
    line = before.count(b"\n") + 1
    column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
    return Problem(
        f"is not UTF-8: byte 0x{data[error.start]:02x}", Where(shown, line, column), hint="save it as UTF-8"
    )


def _alike(path: str) -> str:
    from f0make.suggest import did_you_mean

    folder, name = os.path.split(path)
    try:
        with os.scandir(folder or ".") as entries:
            names = [entry.name for entry in entries if entry.name.endswith((".yaml", ".yml"))]
    except OSError:
        return ""
    return did_you_mean(name, names)
