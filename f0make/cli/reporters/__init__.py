"""How a run is told: JSON lines for programs, plain lines, live progress on a terminal."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from f0make.options import Reporter, RunOptions


def choose(options: RunOptions, extras: dict[str, Any]) -> Reporter:
    """The reporter for what was asked for and for where standard error leads."""
    from f0make.cli.reporters.plain import Plain

    json = bool(extras.get("json"))
    # with --json the results are on stdout: stderr keeps to failures and notes
    quiet = options.quiet or (json and not options.verbose)
    people: Reporter
    if sys.stderr.isatty() and not quiet and not options.verbose and _can_move():
        from f0make.cli.reporters.live import Live

        people = Live()
    else:
        people = Plain(quiet=quiet, verbose=options.verbose)
    if not json:
        return people
    from f0make.cli.reporters.json_lines import JsonLines
    from f0make.cli.reporters.tee import Both

    return Both(JsonLines(), people)


def _can_move() -> bool:
    """False on a terminal that cannot move its cursor."""
    import os

    return os.environ.get("TERM", "") not in ("", "dumb")
