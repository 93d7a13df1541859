"""The command line: words in, exit code out. Every error ends in its message, never in a traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from f0make.cli import streams
from f0make.cli.arguments import finish, parse_fast
from f0make.errors import Exit, F0makeError, RecipeError, UsageError

MAX_LINE = 2_000
"""Characters of a line of an error."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from f0make.options import RunOptions
    from f0make.store.snapshot import Look


def main(argv: Sequence[str], look: Look | None = None) -> int:
    """Do what ``argv`` (without the program's name) asks for; returns the exit code.

    ``look``: what `f0make.noop` has found of a run that ``argv`` asks for.
    """
    streams.prepare()
    code = _guarded(list(argv), "--debug" in argv, look)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        streams.mute(sys.stdout)
    except OSError as error:
        streams.mute(sys.stdout)
        print(f"f0make: standard output: {error.strerror}", file=sys.stderr)
        return code or int(Exit.FAILED)
    return code


def _guarded(argv: list[str], debug: bool, look: Look | None) -> int:
    """`_main`, every exception turned into its message and exit code."""
    try:
        return _main(argv, look)
    except F0makeError as error:
        if debug:
            _traceback()
        complain(error)
        return int(error.exit_code)
    except KeyboardInterrupt:
        return int(Exit.SIGINT)
    except (MemoryError, RecursionError) as error:
        if debug:
            _traceback()
        what = "memory" if isinstance(error, MemoryError) else "nesting"
        print(
            f"f0make: too much {what} is needed for this; see the limits in docs/recipes.md", file=sys.stderr
        )
        return int(Exit.USAGE if argv[:1] != ["run"] else Exit.FAILED)
    except BrokenPipeError:
        streams.mute(sys.stdout)  # the reader has seen enough
        return int(Exit.OK)
    except Exception as error:
        if debug:
            _traceback()
        complain_of(error, debug)
        return int(Exit.FAILED)


def _main(argv: list[str], look: Look | None) -> int:
    request = parse_fast(argv)
    if request is None:
        from f0make.cli import typer_app

        if not argv and "_F0MAKE_COMPLETE" not in os.environ:
            typer_app.show_help()
            return int(Exit.USAGE)
        parsed = typer_app.parse(argv)
        if isinstance(parsed, int):
            return parsed
        request = (parsed[0], *finish(*parsed))
    name, options, extras = request
    if look is not None:
        extras["look"] = look
    return enter(name, options, extras)


def enter(name: str, options: RunOptions, extras: dict[str, Any]) -> int:
    """Go to the workspace and do what verb ``name`` does; returns the exit code. Raises `F0makeError`."""
    from importlib import import_module

    from f0make.store.state_dir import check_owner

    here = None
    if options.workspace != ".":
        here = os.open(".", os.O_RDONLY)
        try:
            os.chdir(options.workspace)
        except OSError as error:
            raise UsageError(f"-C {options.workspace}: {error.strerror}") from None
        options.workspace = "."
    try:
        os.getcwd()
    except FileNotFoundError:
        raise UsageError(
            "the current directory has been deleted; change to another one, or name one with -C"
        ) from None
    try:
        if name not in ("hosts check", "schema") and not (name.startswith("cache ") and options.cache):
            check_owner(".", options.trust)
        code: int
        main = import_module(f"f0make.cli.verbs.{name.split()[0]}").main
        if name == "run":
            code = main(name, options, extras)
            return code
        from f0make.cli.bounded import VERBS, bounded

        if name in VERBS:
            with bounded():
                code = main(name, options, extras)
        else:
            code = main(name, options, extras)
        return code
    finally:
        if here is not None:
            os.chdir(here)
            os.close(here)


def complain(error: F0makeError) -> None:
    """Say on standard error what is wrong: each problem of a recipe on its line, others after `f0make:`."""
    text = str(error)
    if not isinstance(error, RecipeError):
        text = f"f0make: {text}"
    print(streams.shown_block("\n".join(map(_short, text.split("\n")))), file=sys.stderr)


def _short(line: str) -> str:
    """A line of an error without the middle of a text of thousands of characters in it."""
    return line if len(line) <= MAX_LINE else f"{line[: MAX_LINE - 300]} … {line[-300:]}"


def complain_of(error: Exception, debug: bool) -> None:
    """One line for an unforeseen ``error``."""
    if isinstance(error, OSError) and error.errno is not None:
        name = f"{error.filename}: " if error.filename is not None else ""
        text = f"f0make: {name}{error.strerror}"
    else:
        text = f"f0make: internal error: {type(error).__name__}: {error} - please report it"
    more = "" if debug else " (--debug shows where)"
    print(streams.shown(text) + more, file=sys.stderr)


def _traceback() -> None:
    import traceback

    traceback.print_exc()
