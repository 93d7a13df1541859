"""From words to options: the hand parser for the usual case, and the checks that both parsers share."""

from __future__ import annotations

from f0make.command_table import FLAG, MANY, OPTIONS, VERBS, Option, Verb, options_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from f0make.options import RunOptions

Values = dict  # field -> what was given; spelled without typing, which takes milliseconds to import

MOST_DIGITS = 6
"""Of a whole number such as `-j`: more is a slip of the finger."""

NUMBERS = ("count", "slots")
"""Values of options that are whole numbers: from 0; and from 1, or with hosts from 0."""

FORMATS = ("dot", "mermaid", "json", "svg", "html")


def scan(argv: Sequence[str]) -> tuple[str, dict[str, Any]] | None:
    """The verb and what was given for each field (only what was given), as text; None when not sure.

    Sure are: a verb first, options by their full names or single letters, ``--name=value``, ``--name value``,
    ``-jN``, and ``--`` before positionals. Anything else is for typer to judge.
    """
    if not argv:
        return None
    name = argv[0]
    words = argv[1:]
    if name not in VERBS and words:
        name, words = f"{name} {words[0]}", words[1:]
    verb = VERBS.get(name)
    if verb is None:
        return None
    values: dict[str, Any] = {}
    free = _options(verb, words, values)
    if free is None or not _positionals(verb, free, values):
        return None
    return name, values


def _options(verb: Verb, words: Sequence[str], values: dict[str, Any]) -> list[str] | None:
    """Fill ``values`` with the options among ``words``; the other words, or None when not sure."""
    known: dict[str, Option] = {flag: option for option in verb.options for flag in option.flags}
    free: list[str] = []
    place = 0
    while place < len(words):
        word = words[place]
        place += 1
        if word == "--":
            free += words[place:]
            break
        if not word.startswith("-"):
            free.append(word)
            continue
        flag, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        option = known.get(flag)
        if option is None and word[:2] == "-j" and word[2:].isdecimal():
            flag, value, option = "-j", word[2:], known.get("-j")
        if option is None:
            return None
        if option.kind == FLAG:
            if equals:
                return None
            values[option.field] = True
            continue
        if not value and not equals and place < len(words):
            value = words[place]
            place += 1
            if value.startswith("-"):
                return None
        if not value:
            return None
        if option.value in NUMBERS and not _plain_number(value) and (option.value, value) != ("slots", "0"):
            return None
        if option.kind == MANY:
            values.setdefault(option.field, []).append(value)
        else:
            values[option.field] = value
    return free


def _plain_number(text: str) -> bool:
    """Whether ``text`` is a whole number as JSON writes it, above 0: all that needs no second thought."""
    return text.isascii() and text.isdecimal() and text[0] != "0" and len(text) <= MOST_DIGITS


def _positionals(verb: Verb, words: list[str], values: dict[str, Any]) -> bool:
    """Hand ``words`` to the positionals of ``verb``; False when they do not fit."""
    rest = list(words)
    if not all(rest):
        return False
    for positional in verb.positionals:
        if positional.many:
            if rest:
                values[positional.field] = rest
            return True
        if rest:
            values[positional.field] = rest.pop(0)
        elif positional.required:
            return False
    return not rest


def parse_fast(argv: Sequence[str]) -> tuple[str, RunOptions, dict[str, Any]] | None:
    """`scan`, then `finish`; None when not sure or when something is wrong, for typer to say what."""
    found = scan(argv)
    if found is None:
        return None
    from f0make.errors import UsageError

    try:
        return found[0], *finish(*found)
    except UsageError:
        return None


def finish(name: str, values: dict[str, Any]) -> tuple[RunOptions, dict[str, Any]]:
    """Check and convert what was given for verb ``name``; the options, and what is no field of them.

    Raises `UsageError`.
    """
    from f0make.errors import UsageError
    from f0make.options import RunOptions

    options = RunOptions()
    extras: dict[str, Any] = {}
    hosts = bool(values.get("host") or values.get("hosts"))
    for field, value in values.items():
        option = OPTIONS.get(field)
        check = CHECKS.get(option.value) if option is not None else None
        if option is not None and check is not None:
            value = _checked(option, check, value, hosts)
        if field in RunOptions.__slots__:
            setattr(options, field, value)
        elif option is not None:
            options.extra[field] = value
        else:
            extras[field] = value
    extras.update(options.extra)
    for word in (*options.targets, *(extras.get(field) for field in ("recipe", "target", "recipe_argument"))):
        if word == "":
            raise UsageError("an argument is empty: expected a recipe, a step, an instance or a file")
    if options.quiet and options.verbose:
        raise UsageError("-q and -v contradict each other (leave one out)")
    _check_backend(options, values, hosts)
    if any(values.get(field) for field in options_of(value="patience")):
        from f0make.backends.ssh.host import patience_of

        patience_of(options)
    if options.strict and options.audit:
        raise UsageError("--strict and --audit contradict each other (--strict names files, too)")
    if (options.strict or options.audit) and (hosts or options.backend != "local"):
        raise UsageError("--strict and --audit watch steps on this machine only (leave the hosts out)")
    if options.cache is None and options.cache_readonly:
        raise UsageError("--cache-readonly says how to use a cache: --cache DIR or http://… names it")
    if any(values.get(field) for field in options_of(value="budget")):
        from f0make.governor.budget import budget_of

        budget_of(options)
    if name == "graph" and sum(bool(values.get(form)) for form in FORMATS) > 1:
        raise UsageError(f"choose one of --{', --'.join(FORMATS)}")
    if name == "cache gc" and "size" not in extras:
        raise UsageError("cache gc: say how much may stay, such as --size 5GB")
    _one_recipe(extras)
    return options, extras


def _check_backend(options: RunOptions, values: dict[str, Any], hosts: bool) -> None:
    from f0make.errors import UsageError

    if options.backend == "ssh" and not hosts:
        raise UsageError("--backend ssh: name its hosts with --hosts FILE or --host [user@]address")
    if not any(values.get(field) is not None for field in options_of(value="cluster")):
        return
    from f0make.backend_address import parse

    local = options.backend == "ssh"
    address = parse(
        "local" if local else options.backend, options.dask_ca, options.dask_cert, options.dask_key
    )
    if hosts and address is not None:
        raise UsageError(
            f"--backend {options.backend}: hosts (--hosts, --host) are for the backend ssh; choose one"
        )


def _checked(option: Option, check: Callable[[str, str, bool], Any], value: Any, hosts: bool) -> Any:
    """The value of ``option``, from its text or its texts. Raises UsageError."""
    flag = option.flags[0]
    if option.kind != MANY:
        return check(flag, value, hosts)
    found = [check(flag, text, hosts) for text in value]
    return dict(found) if option.value == "limit" else found


def _slots(flag: str, text: str, hosts: bool) -> int:
    return _whole(flag, text, 0 if hosts else 1)


def _count(flag: str, text: str, hosts: bool) -> int:
    return _whole(flag, text, 0)


def _whole(flag: str, text: str, least: int) -> int:
    from f0make.errors import UsageError

    if len(text) > MOST_DIGITS:
        raise UsageError(f"{flag} {text[:12]}…: expected a whole number, at most {10**MOST_DIGITS - 1:,}")
    if not (text.isascii() and text.isdecimal()) or int(text) < least:
        more = " (0 with hosts: nothing runs here)" if flag == "-j" and text == "0" else ""
        raise UsageError(f"{flag} {text}: expected a whole number, at least {least}{more}")
    return int(text)


def _assignment(flag: str, text: str, hosts: bool) -> str:
    from f0make.errors import UsageError

    if not text.partition("=")[0].strip() or "=" not in text:
        raise UsageError(f"{flag} {text}: expected K=V, such as --set limits.count=3")
    return text


def _limit(flag: str, text: str, hosts: bool) -> tuple[str, float | int]:
    """``NAME=N`` as a limit: cpu a number, mem and disk a size in bytes, any other a whole number."""
    from f0make.errors import UsageError

    name, equals, amount = text.partition("=")
    if not equals or not name:
        raise UsageError(f"{flag} {text}: expected NAME=N, such as --resource mem=8GB")
    if name in ("mem", "disk"):
        from f0make.recipe.scalars import to_size

        try:
            return name, to_size(amount)
        except ValueError as error:
            raise UsageError(f"{flag} {text}: {error}") from None
    try:
        number = float(amount) if name == "cpu" else int(amount)
    except ValueError:
        number = -1
    if not 0 <= number < float("inf"):
        kind = "a number" if name == "cpu" else "a whole number"
        raise UsageError(f"{flag} {text}: expected {kind}, at least 0")
    return name, number


def _size(flag: str, text: str, hosts: bool) -> int:
    from f0make.errors import UsageError
    from f0make.recipe.scalars import to_size

    try:
        return to_size(text)
    except ValueError as error:
        raise UsageError(f"{flag} {text}: {error}") from None


def _cache(flag: str, text: str, hosts: bool) -> str:
    from f0make.errors import UsageError

    if not text:
        raise UsageError(f"{flag}: expected a directory or an http(s) address")
    if "://" in text:
        from f0make.cache.http.server_address import parse_address

        parse_address(text)
    return text


CHECKS = {
    "slots": _slots,
    "count": _count,
    "assignment": _assignment,
    "limit": _limit,
    "size": _size,
    "cache": _cache,
}
"""Value of an option -> (flag, text, whether there are hosts) -> what it is converted to. Budgets, patience with hosts
and clusters are checked by what uses them, all at once."""


def _one_recipe(extras: dict[str, Any]) -> None:
    """`status`, `log`, … take the recipe as an argument or as `--recipe`; both must not differ."""
    from f0make.errors import UsageError

    argument = extras.pop("recipe_argument", None)
    if argument is None:
        return
    if extras.get("recipe", argument) != argument:
        raise UsageError(f"two recipes given: {argument} and {extras['recipe']}")
    extras["recipe"] = argument
