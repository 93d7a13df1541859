"""The paths that the outputs of pattern steps stand for."""

from __future__ import annotations

import re

from f0make.expand.declared_paths import PathError
from f0make.expand.globs import capture
from f0make.expand.stages import Stages
from f0make.expand.step_state import OUTPUTS, StepState
from f0make.fast_dataclass import dataclass
from f0make.lazy_re import later
from f0make.regex.captures import Captures
from f0make.template.render_text import TemplateError
from f0make.template.template_values import Broken, to_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_VARIABLE = later("\0([A-Za-z_][A-Za-z0-9_]*)\0")


@dataclass(frozen=True, slots=True)
class Rule:
    """One output of a pattern step for one combination of its `foreach`, and the paths that it stands for."""

    state: StepState
    variables: dict[str, Any]
    captures: Captures
    directory: bool


def rules_of(stages: Stages, state: StepState) -> list[Rule]:
    """What the outputs of the step of ``state`` stand for; empty where it is no pattern step, or a broken one."""
    if not state.plan.pattern or state.after is not None or state.plan.broken or not state.combinations:
        return []
    if not _same_variables(state):
        return []
    rules: list[Rule] = []
    for variables in state.combinations:
        scope = {**stages.renderer.base, **variables}
        plan = state.plan
        if "env" in plan.uses.output_names or "resources" in plan.uses.output_names:
            early = stages.renderer.new(plan, plan.step.name, variables)
            stages.renderer.early(state, early, scope)
        for output in plan.outputs:
            try:
                rules.append(_rule(stages, state, variables, output.template, scope))
            except TemplateError as error:
                state.problems[OUTPUTS].template(plan.step, error)
            except re.error as error:
                message = f"a wildcard in it is no regular expression: {error}"
                state.problems[OUTPUTS].at(plan.step, output.decl.key, message)
            except Broken:
                pass
    return rules


def _same_variables(state: StepState) -> bool:
    """Every output must hold every wildcard; one that does not could be made by any instance."""
    good = True
    for output in state.plan.outputs:
        held = {p.bare for p in output.template.pieces()} if output.template else set()
        missing = [name for name in state.plan.wildcards if name not in held]
        if missing:
            good = False
            state.problems[OUTPUTS].at(
                state.plan.step,
                output.decl.key,
                f"this output of a pattern step lacks ${{{{ {missing[0]} }}}}, which another one holds",
                "all outputs of a pattern step hold the same variables",
            )
    return good


def _rule(
    stages: Stages, state: StepState, variables: dict[str, Any], template: Any, scope: dict[str, Any]
) -> Rule:
    wildcards = stages.recipe.wildcards
    text = []
    for part in template.parts:
        if isinstance(part, str):
            text.append(part)
        elif part.bare in state.plan.wildcards:
            text.append(capture(part.bare))
        elif not part.names.isdisjoint(state.plan.wildcards):
            raise TemplateError(
                template, part.offset, "a wildcard must stand alone in an output", "as ${{ name }}"
            )
        else:
            text.append(template.convert(part, scope, to_text))
    try:
        path, directory = stages.paths.output(_VARIABLE.sub("\1\\1\1", "".join(text)))
    except PathError as error:
        raise template.fail(error.message, error.hint) from None
    pieces = path.split("\1")
    captures = Captures([re.escape(text) for text in pieces[::2]], pieces[1::2], wildcards)
    return Rule(state, variables, captures, directory)
