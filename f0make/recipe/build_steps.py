"""One recipe file's nodes to steps and settings, every problem at its place."""

from __future__ import annotations

from f0make.errors import Problem
from f0make.fast_dataclass import dataclass, field
from f0make.model import Mark
from f0make.recipe.check_recipe import Placed, check_wildcards
from f0make.recipe.check_step import check_step
from f0make.recipe.document import Document, StepSource
from f0make.recipe.recipe_settings import Settings, settings_of
from f0make.recipe.scalars import shown
from f0make.recipe.schema import OUTER, RECIPE, STEP
from f0make.recipe.step_cache import StepCache
from f0make.recipe.step_data import as_list, build_fields, make_step, pack_step, unpack_step
from f0make.recipe.strictyaml_check import MOST_STEPS, Opinions
from f0make.recipe.validate import Checker
from f0make.recipe.value_kinds import NAME
from f0make.recipe.yaml_node import Broken, Entries, Items, Node, Text, plain
from f0make.suggest import nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@dataclass(slots=True)
class FilePart:
    """What one file says."""

    file: str
    head: dict[str, Any] = field(default_factory=dict)
    """The top-level keys but `steps`, conformed; `budget` and `config` as text."""
    marks: dict[str, Mark] = field(default_factory=dict)
    steps: list[Placed] = field(default_factory=list)
    """The sound steps."""
    all_steps: list[Placed] = field(default_factory=list)
    """Those with faults too, as far as they could be understood."""
    includes: list[str] = field(default_factory=list)
    names_steps: bool = False
    """Whether there is a key `steps`, be it misspelt."""
    settings: Settings = field(default_factory=Settings)
    merged_settings: Settings = field(default_factory=Settings)
    """`settings` over those of all that this file includes."""


def understand(
    document: Document,
    file: str,
    problems: list[Problem],
    opinions: Opinions,
    cache: StepCache | None = None,
    sound: bool = True,
) -> FilePart:
    """What ``document``, read from ``file``, says. Problems are appended; steps that have any are left out.

    ``sound``: nothing was wrong with the text as StrictYAML. What strictyaml itself shall say is put to ``opinions``.
    """
    part = FilePart(file)
    before = len(problems)
    few = sound and len(document.steps) <= MOST_STEPS
    _head(part, document, problems)
    head, name = document.head, document.head_name
    if document.head_text is not None and name is not None and sound and len(problems) == before:
        if few:
            opinions.ask(document.head_text, OUTER, 0, file)
        if cache and isinstance(head, Entries):
            cache.keep_head(name, head)
    for index, source in enumerate(document.steps):
        if source.packed is not None:
            step = unpack_step(source.packed, file, source.offset)
            placed = Placed(step, index)
            part.steps.append(placed)
            part.all_steps.append(placed)
        elif source.node is not None:
            _step(part, source, source.node, index, problems, cache, opinions if few else None)
    if few and document.whole_text is not None and len(problems) == before:
        opinions.ask(document.whole_text, RECIPE, 0, file)
    return part


def _head(part: FilePart, document: Document, problems: list[Problem]) -> None:
    root = document.head
    checker = Checker(part.file, problems)
    if not isinstance(root, Entries):
        part.names_steps = True  # that they are missing goes without saying
        if root is not None and not isinstance(root, Broken):
            checker.problem(root, "", f"expected a map with the key `steps`, found {root.what}")
        return
    steps = root.entries.get("steps")
    head = Entries({key: value for key, value in root.entries.items() if key != "steps"}, *root.mark)
    head.keys = root.keys
    part.head = checker.conform(head, OUTER) or {}
    part.marks = checker.marks
    check_wildcards(part.head.get("wildcards", {}), checker)
    if "budget" in part.head:
        part.head["budget"] = plain(root.entries["budget"])
    part.includes = [name for name in as_list(part.head.get("include", [])) if name]
    part.names_steps = steps is not None or any(nearest(key, OUTER.fields) == "steps" for key in root.entries)
    part.settings = settings_of(part.head, part.file, checker.marks)
    if steps is not None and not document.steps and not isinstance(steps, Broken):
        found = shown(steps.text) if isinstance(steps, Text) else steps.what
        if isinstance(steps, Items):
            found = "an empty list"
        checker.problem(
            steps, "steps", f"expected a list of steps, found {found}", "each step begins with `- name:`"
        )


def _step(
    part: FilePart,
    source: StepSource,
    node: Node,
    index: int,
    problems: list[Problem],
    cache: StepCache | None,
    opinions: Opinions | None,
) -> None:
    checker = Checker(part.file, problems, _called(node, index))
    before = len(problems)
    if not isinstance(node, (Entries, Broken)):
        found = shown(node.text) if isinstance(node, Text) else node.what
        checker.problem(node, "", f"expected a step, found {found}", "a step begins with `- name: …`")
        return
    values = checker.conform(node, STEP)
    if values is None:
        return
    fields = build_fields(values)
    check_step(values, fields, checker)
    sound = len(problems) == before
    if sound and opinions is not None and source.text is not None:
        opinions.ask(source.text, _STEP_LIST, source.offset, part.file, checker.prefix)
    if sound and cache and source.name is not None:
        cache.keep_step(source.name, pack_step(fields, checker.marks, source.offset))
    placed = Placed(make_step(fields, part.file, checker.marks), index)
    part.all_steps.append(placed)
    if sound:
        part.steps.append(placed)


def _called(node: Node, index: int) -> str:
    """What messages call a step: its name, where it has one, and its place among the steps otherwise."""
    name = node.entries.get("name") if isinstance(node, Entries) else None
    return name.text if isinstance(name, Text) and NAME.match(name.text) else f"steps[{index}]"


_STEP_LIST = RECIPE.fields["steps"]
