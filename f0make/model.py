"""The nouns that travel through f0make: recipe, step, instance.

Nothing here reads files, looks at the clock or decides anything; every other module may import this one.
A scalar that holds a template (``${{ … }}``) stays text until its instance is rendered, whatever type the
schema gives it: such fields are annotated ``X | str`` on Step and have their real type on Instance.
"""

from __future__ import annotations

from f0make.errors import Where
from f0make.fast_dataclass import dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


Mark = tuple[int, int, int]
"""Where a node stands in its file: first line, first column, last line (all from 1)."""

TEMPLATE_OPEN = "${{"
DEFAULT_SHELL = "bash -euo pipefail"
DEFAULT_SECONDS = 1.0
"""Assumed duration of an instance that neither ran before nor has a sibling that did, for the order of starts and for
the plan; a sum (`--max-time`) counts it as nothing."""


@dataclass(slots=True)
class PathDecl:
    """One declared path of `inputs` or `outputs`, still as written (it may hold templates or a glob)."""

    text: str
    key: str
    """Key path inside the step, for errors: ``inputs[2]``, ``outputs.table``, ``outputs.table.path``."""
    group: str | None = None
    """The name under which a map of paths lists it; None in a list."""
    single: bool = False
    """True when the name stands for one path rather than for a list."""
    temp: bool = False
    protected: bool = False
    optional: bool = False
    """An input's glob that may match nothing."""


@dataclass(slots=True)
class Foreach:
    """One entry of `foreach`: ``variables`` are bound together, from exactly one kind of source."""

    variables: tuple[str, ...]
    kind: str
    """``list``, ``glob``, ``table`` or ``range``."""
    values: list[Any]
    """The list (text, or lists of text when several variables are bound), or one text: glob, file, range."""
    after: str | None = None
    key: str = ""
    columns: tuple[str, ...] = ()
    """Of a table: those that name a row; none for the first one."""
    optional: bool = False
    """Of a glob: it may match nothing."""


@dataclass(slots=True)
class Success:
    """What counts as success beside the exit code."""

    ctx_has_keys: list[str] = field(default_factory=list)
    not_empty: bool | str = False
    exit_codes: list[int | str] = field(default_factory=list)


@dataclass(slots=True)
class Step:
    """One validated entry of `steps`, with the recipe's `defaults`, `env` and `shell` already merged in."""

    name: str
    file: str
    marks: dict[str, Mark]
    """Key path inside the step -> its place in ``file``; "" is the step itself."""
    type: str = "gather"
    """``shell``, ``python`` or ``gather``."""
    idx: int | None = None
    description: str = ""
    run: str | None = None
    module: str | None = None
    function: str | None = None
    args: dict[str, Any] = field(default_factory=dict)
    """As written: text, lists and maps of text; types come from the function's annotations."""
    inputs: list[PathDecl] = field(default_factory=list)
    outputs: list[PathDecl] = field(default_factory=list)
    depends_on: list[str] = field(default_factory=list)
    foreach: list[Foreach] = field(default_factory=list)
    combine: str = "product"
    env: dict[str, str] = field(default_factory=dict)
    shell: str | None = None
    python: str | None = None
    """The interpreter of a python step, a path or a command."""
    resources: dict[str, float | int | str] = field(default_factory=dict)
    """cpu as a number, mem and disk in bytes, every other name as an integer."""
    retries: int | str = 0
    retry_delay: float | str = 0.0
    """Seconds."""
    timeout: float | str | None = None
    """Seconds."""
    priority: int | str = 0
    runs_on: list[str] = field(default_factory=list)
    fingerprint: list[str] = field(default_factory=list)
    depfile: str | None = None
    success: Success = field(default_factory=Success)
    when: str | None = None
    cache: bool | str = True
    always: bool | str = False
    secrets: list[str] = field(default_factory=list)
    """Names of the recipe's secrets that it gets as variables."""
    allow: dict[str, list[str]] = field(default_factory=dict)
    """``read``, ``write`` -> further paths that `--strict` permits; part of no key."""
    any_platform: bool | str = False
    """Its result is the same on every system, machine and Python."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Keys that no code of f0make's own asks for by name (see `recipe.keys`), those that it has."""

    def value(self, key: str) -> Any:
        """The value of ``key``, one of the recipe language's; None for one that it has not."""
        return getattr(self, key) if key in Step.__slots__ else self.extra.get(key)

    def give(self, key: str, value: Any) -> None:
        """Set ``key``, one of the recipe language's."""
        if key in Step.__slots__:
            setattr(self, key, value)
        else:
            self.extra[key] = value

    def where(self, key: str = "") -> Where:
        """The place of ``key`` (or of the nearest enclosing key that has a place)."""
        while key and key not in self.marks:
            cut = max(key.rfind("."), key.rfind("["))
            key = key[:cut] if cut > 0 else ""
        line, column, _ = self.marks.get(key, (0, 0, 0))
        return Where(self.file, line, column)


@dataclass(slots=True)
class Recipe:
    """A validated recipe: every include merged, every default applied, steps in the order of the text."""

    path: str
    """As the user gave it, relative to the workspace where it lies inside."""
    name: str
    description: str
    steps: list[Step]
    config: dict[str, Any] = field(default_factory=dict)
    """Nested maps of text (lists allowed), `--config` and `--set` already merged in."""
    targets: list[str] = field(default_factory=list)
    targets_where: list[Where] = field(default_factory=list)
    wildcards: dict[str, str] = field(default_factory=dict)
    wildcards_where: dict[str, Where] = field(default_factory=dict)
    test_meta: dict[str, str] = field(default_factory=dict)
    budget: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    """Name -> the file that holds it, empty: it is taken from the environment."""
    files: list[str] = field(default_factory=list)
    """Every file that was read to make this recipe: the recipe, its includes, `--config` files."""
    sources: dict[str, str] = field(default_factory=dict)
    """Text of each recipe file, to place errors inside blocks of text."""
    warnings: list[str] = field(default_factory=list)
    """What it says and what has no effect."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Top-level keys without a field here (see `recipe.top_keys`), those that the recipe itself, not an include, has."""
    faulty: list[Step] = field(default_factory=list)
    """Steps that are not among ``steps`` because something is wrong with them, as far as they were understood."""

    def step(self, name: str) -> Step | None:
        """The step called ``name``, or None."""
        return next((s for s in self.steps if s.name == name), None)


@dataclass(slots=True)
class Output:
    """A declared output of an instance; ``path`` is normalised, without a trailing slash."""

    path: str
    directory: bool = False
    temp: bool = False
    protected: bool = False


@dataclass(slots=True)
class Instance:
    """One concrete unit of work, fully rendered for attempt 1."""

    name: str
    step: Step
    variables: dict[str, Any]
    """Variables in the order declared. Values are text; a table row is a map of its columns."""
    inputs: list[str]
    """Normalised paths in the order declared, globs already expanded; no trailing slash."""
    outputs: list[Output]
    depends_on: list[str] = field(default_factory=list)
    """Step names."""
    command: str | None = None
    args: dict[str, Any] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    shell: str | None = None
    python: str | None = None
    resources: dict[str, float | int] = field(default_factory=dict)
    retries: int = 0
    retry_delay: float = 0.0
    timeout: float | None = None
    priority: int = 0
    runs_on: list[str] = field(default_factory=list)
    fingerprint: list[str] = field(default_factory=list)
    depfile: str | None = None
    not_empty: bool = False
    exit_codes: list[int] = field(default_factory=lambda: [0])
    ctx_has_keys: list[str] = field(default_factory=list)
    when: bool = True
    cache: bool = True
    always: bool = False
    any_platform: bool = False
    module: str | None = None
    function: str | None = None
    keyed: dict[str, Any] = field(default_factory=dict)
    """`command`, `shell`, `extra`, and items of `env` and `args`, as they stand in the key where they use `resources`."""
    named_inputs: dict[str, str | list[str]] = field(default_factory=dict)
    """What ``inputs.NAME`` means, for templates and for ``ctx.step.inputs``; empty for a plain list."""
    named_outputs: dict[str, str | list[str]] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    """Its step's `extra`, rendered."""
