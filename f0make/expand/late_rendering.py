"""What is rendered once inputs and outputs are known: the command, arguments and all that is left."""

from __future__ import annotations

import copy

from f0make.allowance import TEXT, size_of
from f0make.expand.declared_paths import PathError, Paths
from f0make.expand.missing_need import NeedsStage
from f0make.expand.renderer import Renderer
from f0make.expand.step_state import LATE, StepState
from f0make.model import Instance
from f0make.template.render_text import Scope, TemplateError
from f0make.template.template_values import Broken, to_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def render_late(state: StepState, renderer: Renderer) -> None:
    """Render the last fields of every instance of a step. Raises IsPending."""
    plan = state.plan
    state.begin(LATE)
    if not plan.late and plan.constants.get("depfile") is None and not plan.uses.unkeyed:
        return
    shared: dict[str, Any] | None = None
    for instance in state.instances:
        scope = renderer.full_scope(state, instance, 1) if plan.uses.varying or shared is None else {}
        if shared is None:
            shared = {}
            for field in plan.uses.shared:
                _render(state, None, field.attribute, field.render, scope, shared)
            renderer.charge(size_of(shared))
        for attribute, value in shared.items():
            setattr(instance, attribute, value)
        if plan.uses.varying:
            own: dict[str, Any] = {}
            for field in plan.uses.varying:
                _render(state, instance, field.attribute, field.render, scope, own)
            weight = 0
            for attribute, value in own.items():
                setattr(instance, attribute, value)
                weight += TEXT + len(value) if type(value) is str else size_of(value)
            renderer.charge(weight)
        if plan.uses.keyed or plan.uses.unkeyed:
            _key(state, instance, scope or renderer.full_scope(state, instance, 1))
        if instance.depfile is not None:
            _check_depfile(state, instance, renderer.paths)


def _key(state: StepState, instance: Instance, scope: Scope) -> None:
    """Note what stands in the key in another way, because it uses `resources`."""
    from f0make.template.keyed import key_text

    plan = state.plan
    keyed: dict[str, Any] = {}
    try:
        if plan.uses.unkeyed:
            templates = {name: plan.env[name] for name in plan.uses.unkeyed}
            keyed["env"] = {
                name: key_text(template, [to_text] * len(template.pieces()), scope, plan.uses.unkeyed)
                for name, template in templates.items()
            }
        for field in plan.uses.keyed:
            assert field.key is not None
            value = field.key(scope, plan.uses.unkeyed)
            if field.attribute == "args":
                plain = instance.args
                value = {name: item for name, item in value.items() if item != plain.get(name)}
            keyed[field.attribute] = value
    except (TemplateError, Broken, NeedsStage):
        return  # Rendering has reported it.
    instance.keyed = keyed


def _render(
    state: StepState,
    instance: Instance | None,
    attribute: str,
    render: Any,
    scope: Scope,
    into: dict[str, Any],
) -> None:
    """Render a field of ``instance`` (None: of all instances)."""
    reason = ""
    try:
        into[attribute] = render(scope)
        return
    except TemplateError as error:
        reason = state.problems[LATE].template(state.plan.step, error)
    except (Broken, NeedsStage):
        # A stage that is still missing here belongs to a step whose own fault has been reported.
        pass
    for broken in state.instances if instance is None else [instance]:
        state.break_part(broken.name, LATE, reason)


def _check_depfile(state: StepState, instance: Instance, paths: Paths) -> None:
    try:
        instance.depfile, directory = paths.output(instance.depfile or "")
        if directory:
            raise PathError("a depfile cannot be a directory")
    except PathError as error:
        message = error.message.replace("an output", "a depfile")
        state.problems[LATE].text(state.plan.step, "depfile", message, error.hint)
        state.break_part(instance.name, LATE, message)


def rerender(
    state: StepState, renderer: Renderer, instance: Instance, attempt: int, cpus: float | None
) -> Instance:
    """``instance`` as it is in another attempt, or with ``cpus`` granted, fewer than it asks for: a copy where
    anything mentions them, else itself.

    Inputs, outputs and variables stay. Raises TemplateError.
    """
    plan = state.plan
    early = "attempt" in plan.uses.early_names
    granted = cpus is not None and "resources" in plan.uses.early_names | plan.uses.late_names
    if not early and "attempt" not in plan.uses.late_names and not granted:
        return instance
    changed = copy.copy(instance)
    if early or granted:
        renderer.early(state, changed, renderer.scope(plan, changed), attempt, cpus)
    scope = renderer.full_scope(state, changed, attempt, cpus)
    affected = {"attempt"} | ({"env", "resources"} if early or granted else set())
    for field in plan.late:
        if field.names & affected:
            setattr(changed, field.attribute, field.render(scope))
    return changed
