"""Checking a python step before anything runs: module, function and arguments, without importing them."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from typing import Any

from f0make.code.code_digest import CodeBase, CodeFacts
from f0make.code.params import convert_args, has_template, read_signature
from f0make.errors import Problem, Where
from f0make.fast_dataclass import replace
from f0make.model import Instance, Step


def check_python_step(
    step: Step | Instance, workspace: str, roots: Sequence[str], cache: MutableMapping[str, Any]
) -> tuple[dict[str, Any], CodeFacts, list[Problem]]:
    """(typed arguments, facts about the code, problems, each with its place in the recipe or in the module).

    For a Step, values that hold templates are left out of the typed arguments and are not checked; for an
    Instance everything is. Many steps: make one :class:`CodeBase` and call :func:`check_step`.
    """
    return check_step(CodeBase(workspace, roots, cache), step)


def check_step(base: CodeBase, step: Step | Instance) -> tuple[dict[str, Any], CodeFacts, list[Problem]]:
    """The same as :func:`check_python_step`, with what ``base`` already knows."""
    declared = step.step if isinstance(step, Instance) else step
    rendered = isinstance(step, Instance)
    module, function = step.module or "", step.function or ""
    if not rendered and (has_template(module) or has_template(function)):
        return {}, CodeFacts(), []
    facts = base.facts(module, function)
    if facts.problems:
        return {}, facts, [_placed(problem, declared, "module") for problem in facts.problems]
    if base.finder.find(module) is not None and base.shape(module) is None:
        return dict(step.args), facts, []
    signature = read_signature(base, module, function)
    if isinstance(signature, Problem):
        return {}, facts, [_placed(signature, declared, "function")]

    def where(key: str) -> Where:
        name = key.removeprefix("args.").partition("[")[0].partition(".")[0]
        moved = rendered and not _same_places(declared.args.get(name), step.args.get(name))
        return declared.where(f"args.{name}" if moved else key)

    typed, problems = convert_args(signature, step.args, where, rendered=rendered)
    return typed, facts, [_named(problem, step.name) for problem in problems]


def _same_places(written: Any, rendered: Any) -> bool:
    """False where templates gave a list or map other places than it has in the text."""
    if isinstance(written, list) and isinstance(rendered, list):
        return len(written) == len(rendered) and all(map(_same_places, written, rendered))
    if isinstance(written, dict) and isinstance(rendered, dict):
        return all(_same_places(written.get(key), item) for key, item in rendered.items())
    return not isinstance(rendered, (list, dict))


def _placed(problem: Problem, step: Step, key: str) -> Problem:
    """At the step's own key, unless the problem has a place in the code."""
    if problem.where is not None:
        return problem
    return replace(problem, message=f"step '{step.name}': {problem.message}", where=step.where(key), key=key)


def _named(problem: Problem, name: str) -> Problem:
    return replace(problem, message=f"step '{name}': {problem.message}")
