"""What can go wrong before and around a run, each with the exit code it ends in."""

from __future__ import annotations

import errno
from enum import IntEnum

from f0make.fast_dataclass import dataclass

NO_ROOM = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG})
"""Errors of a write that say: the disk, the quota or the limit of a file's size is full."""


class Exit(IntEnum):
    """Exit codes of the command line (documented in docs/cli.md)."""

    OK = 0
    FAILED = 1
    USAGE = 2
    BUDGET = 3
    LOCKED = 4
    UNREACHABLE = 5
    SIGINT = 130
    SIGTERM = 143


@dataclass(frozen=True, slots=True)
class Where:
    """A place in a file; ``line`` and ``column`` count from 1, 0 means unknown."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        if not self.line:
            return self.file
        return f"{self.file}:{self.line}:{self.column}" if self.column else f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where, what, and what to do.

    ``key`` is the recipe key at fault ("count.retries"), empty where there is none; ``hint`` says what
    was probably meant or what to do about it.
    """

    message: str
    where: Where | None = None
    key: str = ""
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        key = f"{self.key}: " if self.key else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}{key}{self.message}{hint}"


class F0makeError(Exception):
    """Base of every error that ends in one clear message instead of a traceback."""

    exit_code: Exit = Exit.FAILED


class UsageError(F0makeError):
    """Wrong use of the command line or of the Python interface."""

    exit_code = Exit.USAGE


MOST_TOLD = 1_000
"""Problems that the text of one error names."""


class RecipeError(F0makeError):
    """A recipe that cannot be run; holds every problem found, in the order of the text."""

    exit_code = Exit.USAGE

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(
            problems,
            key=lambda p: (p.where.file, p.where.line, p.where.column) if p.where else ("", 0, 0),
        )
        more = len(problems) - MOST_TOLD
        rest = [f"… and {more:,} more problems"] if more > 0 else []
        super().__init__("\n".join([*(str(p) for p in self.problems[:MOST_TOLD]), *rest]))


class LockedError(F0makeError):
    """Another run holds the workspace."""

    exit_code = Exit.LOCKED


class StateError(F0makeError):
    """`.f0make` cannot be used (read-only, not a directory, a full disk)."""

    exit_code = Exit.FAILED


class UnreachableError(F0makeError):
    """A backend or host cannot be reached."""

    exit_code = Exit.UNREACHABLE
