"""The command line as typer sees it: help, errors with suggestions, shell completion. Made from the table."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from f0make.command_table import BEFORE_VERB, FLAG, GROUPS, MANY, OPTIONS, VERBS, Option, Verb
from f0make.errors import UsageError

PROGRAM = "f0make"

Parsed = tuple[str, dict[str, Any]]


def parse(argv: Sequence[str]) -> Parsed | int:
    """What `arguments.scan` gives, or an exit code when help or the like was all that was asked for.

    Raises `UsageError`.
    """
    import typer

    command = typer.main.get_command(build())
    try:
        found = command.main(list(argv), prog_name=PROGRAM, standalone_mode=False)
    except Exception as error:
        if not hasattr(error, "format_message"):  # typer's, or click's own in older releases of typer
            raise
        raise UsageError(explain(error)) from None
    return found if isinstance(found, tuple) else int(found or 0)


def show_help() -> None:
    """Print the help of `f0make` alone on standard error."""
    import sys

    import typer

    command = typer.main.get_command(build())
    with command.make_context(PROGRAM, [], resilient_parsing=True) as context:
        print(command.get_help(context), file=sys.stderr)


def build() -> Any:
    """The typer application."""
    import typer

    settings = {"help_option_names": ["-h", "--help"]}
    app = typer.Typer(
        rich_markup_mode=None,
        help="Build what is out of date, and nothing twice.",
        context_settings=settings,
    )
    app.callback()(_callback())
    groups = {}
    for name, text in GROUPS.items():
        groups[name] = typer.Typer(rich_markup_mode=None, help=text, context_settings=settings)
        app.add_typer(groups[name], name=name)
    for verb in VERBS.values():
        group, _, name = verb.name.rpartition(" ")
        parent = groups[group] if group else app
        parent.command(name, help=verb.help, context_settings=settings)(_command(verb))
    return app


def _callback() -> Callable[..., None]:
    """What may stand before the verb: `--version`, `-C DIR`, `--trust` and `--debug`."""
    import typer

    from f0make import __version__

    def version(asked: bool) -> None:
        if asked:
            print(f"{PROGRAM} {__version__}")
            raise typer.Exit

    def before(ctx: Any, version: bool, **given: Any) -> None:
        ctx.obj = {field: value for field, value in given.items() if value not in (None, False)}

    shown = typer.Option(
        False, "--version", callback=version, is_eager=True, help="Show the version and exit."
    )
    options = [_parameter(OPTIONS[field]) for field in BEFORE_VERB]
    _sign(before, [*options, _keyword("version", shown, bool)])
    return before


def _command(verb: Verb) -> Callable[..., Parsed]:
    """The function that typer calls for ``verb``: it hands back what was given."""
    import typer

    def given(ctx: Any, **values: Any) -> Parsed:
        found = {key: value for key, value in values.items() if value not in (None, False, [], ())}
        return verb.name, {**(ctx.obj or {}), **found}

    parameters = []
    for positional in verb.positionals:
        default: Any = typer.Argument(... if positional.required else None, help=positional.help)
        parameters.append(_keyword(positional.field, default, list[str] if positional.many else str))
    _sign(given, [*parameters, *map(_parameter, verb.options)])
    return given


def _parameter(option: Option) -> inspect.Parameter:
    """``option`` as a parameter of the function that typer calls."""
    import typer

    if option.kind == FLAG:
        return _keyword(option.field, typer.Option(False, *option.flags, help=option.help), bool)
    many = option.kind == MANY
    default = typer.Option([] if many else None, *option.flags, help=option.help, metavar=option.metavar)
    return _keyword(option.field, default, list[str] if many else str)


def _keyword(name: str, default: Any, kind: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def _sign(function: Callable[..., Any], parameters: list[inspect.Parameter]) -> None:
    """Give ``function`` typer's context and ``parameters``.

    typer evaluates annotations in the module's namespace, where its names must not be imported.
    """
    import typer

    ctx = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    function.__signature__ = inspect.Signature([ctx, *parameters])  # type: ignore[attr-defined]
    function.__annotations__ = {parameter.name: parameter.annotation for parameter in (ctx, *parameters)}


def explain(error: Any) -> str:
    """One line for typer's ``error``: what is wrong, and what to do."""
    flag = str(getattr(error, "option_name", "") or "")
    message = " ".join(error.format_message().split())
    if message.startswith("Missing argument '"):
        message = message.upper().replace("MISSING ARGUMENT", "Missing argument").replace("'", "")
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else PROGRAM
    if "No such command" in message:
        return f"{_command_hint(message, path)} (see '{path} --help')"
    if flag and "No such option" in message and context is not None:
        message = f"No such option: {flag}" + _near(flag, context)
    return f"{message.rstrip('.')} (see '{path} --help')"


def _command_hint(message: str, path: str) -> str:
    """typer's ``message`` about an unknown command, with a near one where typer names none."""
    import difflib

    message = message.rstrip(".")
    if "mean" in message or path != PROGRAM:
        return message
    wrong = message.partition("'")[2].partition("'")[0]
    near = difflib.get_close_matches(wrong, [name.split()[0] for name in VERBS], 1)
    return f"{message}. Did you mean '{near[0]}'?" if near else message


def _near(flag: str, context: Any) -> str:
    """The option that was probably meant by ``flag``, as part of a sentence."""
    import difflib

    known = [name for parameter in context.command.params for name in parameter.opts]
    near = difflib.get_close_matches(flag, known, 1)
    return f", did you mean {near[0]}?" if near else ""
