"""The kinds of values that the keys of a recipe take: what may be written, and what it is converted to."""

from __future__ import annotations

from f0make.lazy_re import later
from f0make.recipe import scalars
from f0make.recipe.kinds import Fields, Many, Mapped, OneOf, Scalar, Tree, one_or_many
from f0make.suggest import did_you_mean

NAME = later(r"[A-Za-z_][A-Za-z0-9_.-]*\Z")
_IDENTIFIER = later(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_DOTTED = later(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*\Z")


def is_identifier(text: str) -> bool:
    """Whether ``text`` can be the name of a template variable."""
    return bool(_IDENTIFIER.match(text))


def _step_name(text: str) -> str:
    if not NAME.match(text):
        raise ValueError(
            f"expected a name of letters, digits, `_`, `.` and `-` that begins with a letter or `_`, "
            f"found {scalars.shown(text)}"
        )
    return text


def _dotted(text: str) -> str:
    if not _DOTTED.match(text):
        hint = "; write a.b for a/b.py" if "/" in text or text.endswith(".py") else ""
        raise ValueError(f"expected a dotted module name such as pkg.mod, found {scalars.shown(text)}{hint}")
    return text


def _function(text: str) -> str:
    if not _IDENTIFIER.match(text):
        raise ValueError(f"expected the name of a function or class, found {scalars.shown(text)}")
    return text


def _path(text: str) -> str:
    if not text:
        raise ValueError("expected a path, found nothing")
    return text


def _present(text: str) -> str:
    if not text.strip():
        raise ValueError("expected text, found nothing")
    return text


def choice(*words: str) -> Scalar:
    known = " or ".join(words)

    def convert(text: str) -> str:
        if text in words:
            return text
        hint = did_you_mean(text, words)
        raise ValueError(f"expected {known}, found {scalars.shown(text)}" + (f"; {hint}" if hint else ""))

    return Scalar(known, convert, template=False, words=words)


def _variable_name(name: str) -> None:
    if not _ENV_NAME.match(name):
        raise ValueError(f"{scalars.shown(name)} cannot be the name of an environment variable")


def _secret_name(name: str) -> None:
    if not _IDENTIFIER.match(name):
        raise ValueError(f"{scalars.shown(name)} cannot be the name of a secret")


def _secret(text: str) -> str:
    _secret_name(text)
    return text


def _key(name: str) -> None:
    if not name:
        raise ValueError("an empty key")


_ENV_NAME = later(r"[^=\s]+\Z")


_NUMBER = r"\d*\.?\d*([eE][-+]?\d+)?"
_TIME = rf"^{_NUMBER} ?(ms|s|m|h|d)?$"
_SIZE = rf"^{_NUMBER} ?([kKmMgGtTpP]?[iI]?[bB])?$"
_YES_NO = r"^([yY]([eE][sS])?|[nN][oO]?|[tT][rR][uU][eE]|[fF][aA][lL][sS][eE]|[oO][nN]|[oO][fF][fF]|[01])$"
_INTEGER = r"^[-+]?\d+(_\d+)*$"

TEXT = Scalar("text", empty=True)
SHELL = Scalar("a command such as bash -eu", _present)
PYTHON = Scalar("an interpreter such as .venv/bin/python or python3.12", _present)
BOOL = Scalar("yes or no", scalars.to_bool, pattern=_YES_NO)
OPTIONAL = Scalar("yes or no", scalars.to_bool, template=False, pattern=_YES_NO)
INTEGER = Scalar("an integer", scalars.to_int, pattern=_INTEGER)
COUNT = Scalar("an integer of 0 or more", scalars.to_count, pattern=_INTEGER)
DURATION = Scalar("a duration such as 10s, 5m or 2h", scalars.to_duration, pattern=_TIME)
TIMEOUT = Scalar("a duration such as 10s, 5m or 2h", scalars.to_timeout, pattern=_TIME)
PATH = Scalar("a path", _path)
STEP_NAMES = one_or_many(Scalar("the name of a step", _step_name))
LABELS = one_or_many(Scalar("a label", _present))
SECRET = Scalar("the name of a secret", _secret, template=False)
SECRET_NAMES = one_or_many(SECRET)
SECRETS = OneOf(
    "a name, or a list of names and of maps of a name to a file",
    text=SECRET,
    items=Many(
        OneOf(
            "a name, or a map of a name to a file",
            text=SECRET,
            entries=Mapped(Scalar("a path", _path, template=False), key=_secret_name),
        )
    ),
)

RESOURCES = Mapped(
    COUNT,
    key=_key,
    named={
        "cpu": Scalar("a number above 0", scalars.to_positive, pattern=rf"^[-+]?{_NUMBER}$"),
        "mem": Scalar("a size such as 2GB", scalars.to_size, pattern=_SIZE),
        "disk": Scalar("a size such as 2GB", scalars.to_size, pattern=_SIZE),
    },
)
ENV = Mapped(TEXT, key=_variable_name)

INPUT = Fields("an input", {"glob": PATH, "optional": OPTIONAL}, required=("glob",), aliases={"path": "glob"})
_INPUT_ITEM = OneOf("a path or a map with `glob`", text=PATH, entries=INPUT)
INPUTS = OneOf(
    "a path, a list of paths, or a map of names to paths",
    text=PATH,
    items=Many(_INPUT_ITEM),
    entries=Mapped(
        OneOf("a path, a list of paths or a map with `glob`", PATH, Many(_INPUT_ITEM), INPUT), key=_key
    ),
)
OUTPUT = Fields(
    "an output",
    {"path": PATH, "temp": BOOL, "protected": BOOL},
    required=("path",),
    aliases={"temporary": "temp", "protect": "protected", "file": "path"},
)
_OUTPUT_ITEM = OneOf("a path or a map with `path`", text=PATH, entries=OUTPUT)
OUTPUTS = OneOf(
    "a path, a list of paths, or a map of names to paths",
    text=PATH,
    items=Many(_OUTPUT_ITEM),
    entries=Mapped(
        OneOf("a path, a list of paths or a map with `path`", PATH, Many(_OUTPUT_ITEM), OUTPUT), key=_key
    ),
)

ROW_ITEM = Scalar("text")
FOREACH = Mapped(
    OneOf(
        "a list, or a map with `glob`, `table` or `range`",
        items=Many(OneOf("text, or a list of texts", text=ROW_ITEM, items=Many(ROW_ITEM))),
        entries=Fields(
            "a source of values",
            {
                "glob": PATH,
                "table": PATH,
                "range": Scalar("a range such as 1..10", _present),
                "after": Scalar("a step", _step_name, False),
                "optional": OPTIONAL,
                "key": one_or_many(Scalar("the name of a column", _present, template=False)),
            },
            aliases={
                "csv": "table",
                "tsv": "table",
                "file": "table",
                "files": "glob",
                "keys": "key",
                "index": "key",
            },
        ),
    ),
    key=_key,
)

SUCCESS = Fields(
    "`success`",
    {
        "ctx_has_keys": one_or_many(Scalar("a key of the context", _present)),
        "not_empty": BOOL,
        "exit_codes": one_or_many(Scalar("an exit code", scalars.to_exit_code, pattern=_INTEGER)),
    },
    aliases={"exit_code": "exit_codes", "ctx_has_key": "ctx_has_keys"},
)

_ALLOWED = one_or_many(Scalar("a path", _present, template=False))
ALLOW = Fields("`allow`", {"read": _ALLOWED, "write": _ALLOWED})

BUDGET = Fields(
    "`budget`",
    {
        "cpu": Scalar("a percentage such as 80%", scalars.to_percent, False, pattern=r"%$"),
        "mem": Scalar("a size such as 8GB", scalars.to_memory_limit, False, pattern=_SIZE),
        "load": Scalar("a number above 0", scalars.to_positive, False, pattern=rf"^[-+]?{_NUMBER}$"),
        "time": Scalar("a duration such as 2h", scalars.to_timeout, False, pattern=_TIME),
        "energy": Scalar("an energy such as 0.2kWh", scalars.to_energy, False, pattern=r"[jJhH]$"),
        "carbon": Scalar("a mass such as 50g", scalars.to_carbon, False, pattern=r"[gGtT]$"),
        "country": Scalar("a country such as FRA", scalars.to_country, False, pattern="^[A-Z]{3}$"),
    },
    aliases={"memory": "mem"},
)

NAMED = Scalar("a name", _step_name, template=False, pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$")
HEADLINE = Scalar("a name", _present, template=False)
NUMBER = Scalar("an integer", scalars.to_int, template=False, pattern=_INTEGER)
SHELL_TEXT = Scalar("shell text", _present)
MODULE = Scalar("a dotted module name", _dotted, template=False, pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$")
FUNCTION = Scalar("the name of a function or class", _function, template=False, pattern=r"^[A-Za-z_]\w*$")
TREES = Mapped(Tree(), key=_key)
COMMANDS = one_or_many(Scalar("a shell command", _present))
TARGETS = one_or_many(Scalar("a step or a file", _present, template=False))
PATTERNS = Mapped(Scalar("a regular expression", _present, template=False), key=_key)
INCLUDED = one_or_many(Scalar("a recipe file", _path, template=False))
TEST_META = Fields("`test_meta`", {"test_id": TEXT, "tester": TEXT, "description": TEXT})
