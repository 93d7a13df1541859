"""A recipe file, with what it includes and what the command line adds, to a validated `Recipe`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from f0make.allowance import place
from f0make.errors import Problem, RecipeError, Where
from f0make.fast_dataclass import dataclass, field
from f0make.gc_pause import gc_pause
from f0make.model import Mark, Recipe
from f0make.recipe.build_steps import FilePart, understand
from f0make.recipe.check_recipe import Placed, check_together
from f0make.recipe.document import Document, read_document
from f0make.recipe.finding import Finding
from f0make.recipe.from_python import from_plain
from f0make.recipe.merge_config import merged, read_config, set_values
from f0make.recipe.read_source import UnreadableError, as_problem, read_text
from f0make.recipe.recipe_settings import Settings
from f0make.recipe.secret_names import secrets_of, undeclared
from f0make.recipe.step_cache import StepCache
from f0make.recipe.step_data import as_list
from f0make.recipe.strictyaml_check import Opinions
from f0make.recipe.top_keys import extra_of
from f0make.recipe.yaml_reader import MAX_DEPTH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def load_recipe(
    path: str,
    workspace: str,
    *,
    sets: Sequence[str] = (),
    configs: Sequence[str] = (),
    cache: StepCache | None = None,
) -> Recipe:
    """The recipe in the file ``path`` (relative to ``workspace`` unless absolute).

    ``sets`` are `--set` options (`a.b=v`), ``configs`` paths of `--config` files, both later over earlier.
    ``cache`` spares what was validated before; it is filled but not saved.

    Raises:
        RecipeError: every problem found in the recipe, its includes and the config files.
        UsageError: a wrong `--set`.
    """
    recipe, problems = load_with_problems(path, workspace, sets=sets, configs=configs, cache=cache)
    if problems:
        raise RecipeError(problems)
    return recipe


def load_with_problems(
    path: str,
    workspace: str,
    *,
    sets: Sequence[str] = (),
    configs: Sequence[str] = (),
    cache: StepCache | None = None,
    opinions: Opinions | None = None,
) -> tuple[Recipe, list[Problem]]:
    """Like `load_recipe`, with the problems beside the sound part of the recipe: steps at fault are left out.

    With ``opinions`` what strictyaml says is still to be asked for there, and until then ``cache`` must not be
    saved.

    Raises:
        UsageError: a wrong `--set`.
    """
    loader = _Loader(os.path.abspath(workspace), cache, opinions or Opinions())
    shown = loader.shown(path)
    whole = _Merged()
    with gc_pause():
        loader.load(loader.absolute(path), shown, None, whole, [])
        if opinions is None:
            loader.problems += loader.opinions.problems()
        return _finish(loader, whole, shown, sets, configs)


def load_mapping(recipe: Mapping[str, Any], workspace: str) -> Recipe:
    """The recipe in plain maps, lists and values; what it includes is looked for in ``workspace``.

    Raises:
        RecipeError: every problem found, without places.
    """
    loader = _Loader(os.path.abspath(workspace), None, Opinions())
    whole = _Merged()
    loader.take(from_plain(recipe), loader.absolute(""), "", whole, [])
    loader.problems += loader.opinions.problems()
    made, problems = _finish(loader, whole, "", (), ())
    if problems:
        raise RecipeError(problems)
    return made


def _finish(
    loader: _Loader, whole: _Merged, shown: str, sets: Sequence[str], configs: Sequence[str]
) -> tuple[Recipe, list[Problem]]:
    """What the files that ``loader`` read come to, and all problems."""
    problems = loader.problems
    silent = all(not part.names_steps for part, _ in whole.parts)
    if whole.parts and silent and not (problems and whole.parts[-1][0].includes):
        where = Where(shown, 1, 1) if shown else None
        problems.append(Problem("a recipe needs `steps`, at least one", where, "steps"))
    for part, chain in whole.parts:
        settings = Settings()
        for outer in [*chain, part]:
            settings = outer.merged_settings.over(settings)
        settings.apply(placed.step for placed in part.steps)
    problems += [p for placed in whole.all_steps for p in undeclared(placed.step, whole.secrets)]
    problems += check_together(whole.all_steps, list(loader.sources))
    config = whole.config
    for file in configs:
        name = loader.shown(file)
        loader.files.append(name)
        config = merged(config, read_config(loader.absolute(file), name, problems))
    config = set_values(config, sets)
    head = whole.parts[-1][0].head if whole.parts else {}
    targets = head.get("targets", [])
    recipe = Recipe(
        path=shown,
        name=head.get("recipe") or os.path.splitext(os.path.basename(shown))[0] or "recipe",
        description=head.get("description", ""),
        steps=[placed.step for placed in whole.placed],
        faulty=[placed.step for placed in whole.all_steps if not any(placed is p for p in whole.placed)]
        if problems
        else [],
        config=config,
        targets=[target for target in as_list(targets) if target],
        targets_where=_target_places(shown, whole.parts[-1][0].marks if whole.parts else {}),
        wildcards=whole.wildcards,
        wildcards_where=whole.wildcards_where,
        test_meta=head.get("test_meta", {}),
        budget=head.get("budget", {}),
        secrets=whole.secrets,
        files=loader.files,
        sources=loader.sources,
        extra=extra_of(head),
        warnings=[text for part, _ in whole.parts[:-1] for text in _without_effect(part)],
    )
    return recipe, problems


def _without_effect(included: FilePart) -> list[str]:
    """What a person may expect an ``included`` file to do and it does not."""
    if "budget" not in included.head:
        return []
    line, column, _ = included.marks["budget"]
    return [f"{included.file}:{line}:{column}: the `budget` of an included file does not count"]


def _target_places(file: str, marks: dict[str, Mark]) -> list[Where]:
    listed = [mark for key, mark in marks.items() if key.startswith("targets[")]
    single = [marks["targets"]] if "targets" in marks and not listed else []
    return [Where(file, line, column) for line, column, _ in listed or single]


@dataclass(slots=True)
class _Merged:
    """What several files come to; ``parts`` hold each file and the files that lead to it, outermost first."""

    placed: list[Placed] = field(default_factory=list)
    all_steps: list[Placed] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    wildcards: dict[str, str] = field(default_factory=dict)
    wildcards_where: dict[str, Where] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    parts: list[tuple[FilePart, list[FilePart]]] = field(default_factory=list)


class _Loader:
    def __init__(self, workspace: str, cache: StepCache | None, opinions: Opinions) -> None:
        self.workspace = workspace
        self.opinions = opinions
        self.cache = cache
        self.problems: list[Problem] = []
        self.files: list[str] = []
        self.sources: dict[str, str] = {}
        self._loaded: dict[str, FilePart] = {}

    def absolute(self, path: str) -> str:
        return os.path.join(self.workspace, path)

    def shown(self, path: str) -> str:
        """``path`` relative to the workspace where it lies inside, with `/`."""
        inside = os.path.relpath(self.absolute(path), self.workspace)
        if inside == os.pardir or inside.startswith(os.pardir + os.sep):
            return os.path.normpath(path) if os.path.isabs(path) else os.path.abspath(self.absolute(path))
        return inside.replace(os.sep, "/")

    def load(
        self,
        path: str,
        shown: str,
        asked: tuple[Where, str] | None,
        whole: _Merged,
        chain: list[tuple[str, FilePart]],
    ) -> FilePart | None:
        """Read one file and what it includes into ``whole``; ``asked`` is the place and key of the `include`."""
        place.at(Where(shown))
        try:
            text = read_text(path, shown)
        except UnreadableError as error:
            problem = error.problem
            if asked and problem.where and not problem.where.line:
                problem = Problem(f"{shown} {_after_name(problem.message)}", asked[0], asked[1], problem.hint)
            self.problems.append(problem)
            return None
        self.files.append(shown)
        self.sources[shown] = text
        findings: list[Finding] = []
        document = read_document(text, findings, self.cache)
        self.problems += [as_problem(finding, shown) for finding in findings]
        if document.head is None and not findings:
            self.problems.append(
                Problem("the file is empty", Where(shown, 1, 1), hint="a recipe needs `steps`")
            )
        if document.head is None:
            return None
        return self.take(document, path, shown, whole, chain, sound=not findings)

    def take(
        self,
        document: Document,
        path: str,
        shown: str,
        whole: _Merged,
        chain: list[tuple[str, FilePart]],
        sound: bool = True,
    ) -> FilePart:
        """Merge the document of the file ``path``, and all that it includes, into ``whole``."""
        part = understand(document, shown, self.problems, self.opinions, self.cache, sound)
        identity = os.path.realpath(path)
        self._loaded[identity] = part
        inner = [*chain, (identity, part)]
        for n, name in enumerate(part.includes):
            self._include(path, name, part, n, whole, inner)
        part.merged_settings = part.settings.over(part.merged_settings)
        whole.placed += part.steps
        whole.all_steps += part.all_steps
        whole.config = merged(whole.config, part.head.get("config", {}))
        for name, expression in part.head.get("wildcards", {}).items():
            line, column, _ = part.marks.get(f"wildcards.{name}", (0, 0, 0))
            whole.wildcards[name] = expression
            whole.wildcards_where[name] = Where(shown, line, column)
        whole.secrets = {**whole.secrets, **secrets_of(part.head)}
        whole.parts.append((part, [outer for _, outer in chain]))
        return part

    def _include(
        self, path: str, name: str, part: FilePart, n: int, whole: _Merged, chain: list[tuple[str, FilePart]]
    ) -> None:
        target = os.path.join(os.path.dirname(path), name)
        identity = os.path.realpath(target)
        key = f"include[{n}]" if f"include[{n}]" in part.marks else "include"
        line, column, _ = part.marks[key]
        where = Where(part.file, line, column)
        circle = [file for file, _ in chain]
        if identity in circle:
            names = [outer.file for _, outer in chain[circle.index(identity) :]]
            way = " → ".join([*names, names[0]])
            self.problems.append(Problem(f"the recipe includes itself: {way}", where, key))
            return
        if len(chain) > MAX_DEPTH:
            text = f"this is included by {len(chain)} files, one by the other, and {MAX_DEPTH} is the most"
            self.problems.append(Problem(text, where, key))
            return
        known = self._loaded.get(identity)
        if known is None:
            known = self.load(target, self.shown(target), (where, key), whole, chain)
        if known is not None:
            part.merged_settings = known.merged_settings.over(part.merged_settings)


def _after_name(message: str) -> str:
    return "does not exist" if message == "there is no such file" else message
