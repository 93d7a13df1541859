"""Every key of a step, once, as data; those of the top level are in `top_keys`.

What validates recipes, what strictyaml is asked, the fields of `Step`, `Instance` and `Bundle`, the parts of an
instance's key, where templates may stand, the JSON Schema and the tables in docs/recipes.md come from here. A key that
is added here works: it is validated, rendered, part of the key, handed to the worker and shown. Where f0make's own
code asks for it by name, it gets a typed field of that name on those classes, and leaves their `extra`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from f0make.ascii_json import dumper
from f0make.fast_dataclass import dataclass
from f0make.model import Success
from f0make.recipe import value_kinds as kinds
from f0make.recipe.kinds import Kind, Many, Mapped, OneOf, Scalar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_dumps = dumper(sort_keys=True)

NEVER = "never"
"""Taken as written."""
GRAPH = "graph"
"""Rendered where instances come to be: which there are, what they read and make."""
EARLY = "early"
"""Rendered before paths, which may use it."""
LATE = "late"
"""Rendered when inputs and outputs are known."""


@dataclass(frozen=True, slots=True, eq=False)
class Key:
    """One key of a step."""

    kind: Kind
    """What may be written, and what it is converted to."""
    doc: str
    """One line for the reference, in Markdown."""
    section: str
    """The anchor in docs/recipes.md of what says more."""
    default: Any = None
    """What holds in a step without it, converted; lists and maps are copied."""
    render: str = NEVER
    """When templates in it are rendered; a key without a field of its own is rendered late or never."""
    rendered: Callable[[str], Any] | None = None
    """What makes a value of the text that a template comes to; None: what makes one of written text."""
    part: str = ""
    """What its part of an instance's key is called, or begins with; empty: another value changes no result."""
    bundle: str = ""
    """The fields of `Bundle` in which it travels to the worker, `extra` where it has none; empty: it stays here."""
    shared: bool = False
    """Whether `defaults` may hold it."""
    value: str = ""
    """What the reference calls its value; empty: as messages do."""
    otherwise: str = ""
    """What the reference says of a step without it."""

    def convert(self, text: str) -> Any:
        """The value for ``text``, which a template came to. Raises ValueError."""
        kind = self.kind.text if isinstance(self.kind, OneOf) else self.kind
        make = self.rendered or (kind.convert if isinstance(kind, Scalar) else None)
        return make(text) if make is not None else text

    @property
    def listed(self) -> bool:
        """Whether one text stands for a list of it."""
        return type(self.kind) is OneOf and type(self.kind.text) is Scalar and type(self.kind.items) is Many

    @property
    def by_name(self) -> bool:
        """Whether it is a map of names to values, in which a step's own names win over those of `defaults`."""
        return type(self.kind) is Mapped


STEP_KEYS: dict[str, Key] = {
    "name": Key(
        kinds.NAMED,
        "unique; part of the key only of a step without `outputs`",
        "names-and-descriptions",
        "",
        part="name",
        bundle="instance step",
        value="letters, digits, `_.-`",
        otherwise="required",
    ),
    "idx": Key(kinds.NUMBER, "breaks ties in order", "priority-and-idx", otherwise="0"),
    "description": Key(kinds.TEXT, "shown in listings", "names-and-descriptions", ""),
    "type": Key(
        kinds.choice("shell", "python"),
        "says what the step is",
        "kinds-of-steps",
        "gather",
        bundle="kind",
        value="`shell`, `python`",
        otherwise="from `run`, `module`",
    ),
    "run": Key(
        kinds.SHELL_TEXT,
        "a command, or a `#!` script",
        "kinds-of-steps",
        render=LATE,
        part="command",
        bundle="command",
    ),
    "module": Key(kinds.MODULE, "a python step's module", "python-steps", part="function", bundle="module"),
    "function": Key(
        kinds.FUNCTION, "a function or class in it", "python-steps", part="function", bundle="function"
    ),
    "args": Key(
        kinds.TREES,
        "its arguments",
        "python-steps",
        {},
        LATE,
        part="args.",
        bundle="args",
        value="map",
        otherwise="none",
    ),
    "inputs": Key(
        kinds.INPUTS,
        "files and `directories/` that it reads",
        "inputs-and-outputs",
        [],
        GRAPH,
        part="inputs",
        bundle="inputs named_inputs",
        value="path, list or map",
        otherwise="none",
    ),
    "outputs": Key(
        kinds.OUTPUTS,
        "files and `directories/` that it makes",
        "inputs-and-outputs",
        [],
        GRAPH,
        part="outputs",
        bundle="outputs named_outputs",
        value="path, list or map",
        otherwise="none",
    ),
    "depends_on": Key(
        kinds.STEP_NAMES,
        "steps that come first",
        "depends_on",
        [],
        LATE,
        rendered=str,
        value="one or a list",
        otherwise="none",
    ),
    "foreach": Key(
        kinds.FOREACH,
        "many instances",
        "foreach",
        [],
        GRAPH,
        bundle="instance",
        value="map",
        otherwise="none",
    ),
    "combine": Key(
        kinds.choice("product", "zip"),
        "how the variables of `foreach` go together",
        "combine",
        "product",
        value="`product`, `zip`",
        otherwise="`product`",
    ),
    "resources": Key(
        kinds.RESOURCES,
        "what an instance takes while it runs",
        "resources",
        {},
        EARLY,
        bundle="resources",
        shared=True,
        value="map",
        otherwise="`cpu: 1`",
    ),
    "retries": Key(
        kinds.COUNT,
        "attempts after a first failure",
        "retries-and-timeout",
        0,
        LATE,
        shared=True,
        value="integer",
        otherwise="0",
    ),
    "retry_delay": Key(
        kinds.DURATION,
        "a pause before the next attempt",
        "retries-and-timeout",
        0.0,
        LATE,
        shared=True,
        value="duration",
        otherwise="0",
    ),
    "timeout": Key(
        kinds.TIMEOUT,
        "how long an attempt may take",
        "retries-and-timeout",
        render=LATE,
        bundle="timeout",
        shared=True,
        value="duration",
        otherwise="none",
    ),
    "env": Key(
        kinds.ENV,
        "variables",
        "environment-and-shell",
        {},
        EARLY,
        part="env.",
        bundle="env",
        shared=True,
        value="map",
        otherwise="top level's",
    ),
    "cache": Key(
        kinds.BOOL,
        "whether its outputs are stored",
        "cache-and-always",
        True,
        LATE,
        shared=True,
        value="yes/no",
        otherwise="yes",
    ),
    "runs_on": Key(
        kinds.LABELS,
        "labels that a host must have, all of them; `local`: this machine",
        "other-machines",
        [],
        LATE,
        rendered=str,
        shared=True,
        value="one or a list",
        otherwise="none",
    ),
    "shell": Key(
        kinds.SHELL,
        "what runs the text of `run`",
        "environment-and-shell",
        render=LATE,
        rendered=str,
        part="shell",
        bundle="shell",
        value="command",
        otherwise="top level's",
    ),
    "python": Key(
        kinds.PYTHON,
        "the interpreter of a python step",
        "the-interpreter",
        render=LATE,
        rendered=str,
        part="python",
        bundle="python own_python",
        value="path or command",
        otherwise="top level's, else the project's",
    ),
    "priority": Key(
        kinds.INTEGER,
        "higher goes first",
        "priority-and-idx",
        0,
        LATE,
        value="integer",
        otherwise="0",
    ),
    "fingerprint": Key(
        kinds.COMMANDS,
        "their output joins the key",
        "fingerprint",
        [],
        LATE,
        part="fingerprint ",
        value="one or a list of commands",
        otherwise="none",
    ),
    "depfile": Key(
        kinds.PATH,
        "inputs that the command itself reports",
        "depfile",
        render=LATE,
        rendered=str,
        part="depfile",
        bundle="depfile",
        value="path",
        otherwise="none",
    ),
    "success": Key(
        kinds.SUCCESS,
        "what counts as success",
        "success",
        Success(),
        LATE,
        part="success",
        bundle="exit_codes not_empty",
        value="map",
        otherwise="exit code 0",
    ),
    "when": Key(
        kinds.TEXT,
        "whether the step runs at all",
        "when",
        render=LATE,
        value="template",
        otherwise="yes",
    ),
    "always": Key(
        kinds.BOOL,
        "never current",
        "cache-and-always",
        False,
        LATE,
        value="yes/no",
        otherwise="no",
    ),
    "secrets": Key(
        kinds.SECRET_NAMES,
        "the recipe's secrets that it gets",
        "secrets",
        [],
        part="secret.",
        bundle="secrets",
        value="one or a list",
        otherwise="none",
    ),
    "any_platform": Key(
        kinds.BOOL,
        "a shared cache may hand its result to other systems",
        "any_platform",
        False,
        LATE,
        value="yes/no",
        otherwise="no",
    ),
    "allow": Key(
        kinds.ALLOW,
        "what [`--strict`](strict.md) permits beside inputs and outputs",
        "allow",
        {},
        bundle="allow",
        value="map of `read` and `write` to paths",
        otherwise="none",
    ),
}
"""The keys of a step, in the order in which messages list them."""


def extra_parts(extra: Mapping[str, Any]) -> dict[str, str]:
    """The parts of an instance's key for the values of keys that have no field of their own, as text.

    What a step would have without the key is left out: a key that the language gains changes no key of an instance.
    """
    parts: dict[str, str] = {}
    for name, value in extra.items():
        key = STEP_KEYS[name]
        if not key.part or value == key.default:
            continue
        if isinstance(value, dict):
            parts.update((f"{key.part}.{inner}", _text(item)) for inner, item in sorted(value.items()))
        else:
            parts[key.part] = _text(value)
    return parts


def _text(value: Any) -> str:
    return value if isinstance(value, str) else _dumps(value)


def extra_sent(extra: Mapping[str, Any]) -> dict[str, Any]:
    """What of the values of keys that have no field of their own goes to the worker."""
    return {name: value for name, value in extra.items() if STEP_KEYS[name].bundle}
