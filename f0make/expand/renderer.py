"""One instance: its env, resources, outputs and inputs, rendered in the scope that it may see."""

from __future__ import annotations

import re
from collections.abc import Callable

from f0make.allowance import EDGE, PATH, size_of
from f0make.expand.declared_paths import PathError, Paths
from f0make.expand.env_rendering import Environment
from f0make.expand.expansion_facts import Facts, Unlistable
from f0make.expand.glob_matching import match_glob
from f0make.expand.globs import Glob, escape, has_glob, is_pattern
from f0make.expand.makers import Made
from f0make.expand.problem_collector import Problems
from f0make.expand.step_plan import PathPlan, StepPlan
from f0make.expand.step_state import INPUTS, OUTPUTS, StepState
from f0make.expand.steps_view import own_paths
from f0make.model import Instance, Output
from f0make.recipe.scalars import to_bool, to_resource
from f0make.regex.bounded import Unbounded
from f0make.template.render_text import Scope, Template, TemplateError
from f0make.template.template_values import BROKEN, Broken, to_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_FIELDS = list(Instance.__dataclass_fields__)
_HEAD = _FIELDS.index("outputs") + 1
_ONE_CPU: dict[str, float | int] = {"cpu": 1}
_FROM_CONFIG = frozenset({"config", "env"})


class Renderer:
    """Makes and fills instances; knows nothing of other steps but the base scope (`config`, `steps`)."""

    def __init__(
        self, base: dict[str, Any], paths: Paths, made: Made, facts: Facts, charge: Callable[[int], None]
    ) -> None:
        """``charge``: told how many bytes are made; raises where they are too many."""
        self.base = base
        self.paths = paths
        self.made = made
        self.facts = facts
        self.charge = charge
        self._cpus: float | None = None
        """The cores that are granted to what is being rendered, None for what it asks for."""
        self._tails: dict[str, tuple[Any, ...]] = {}

    def new(self, plan: StepPlan, name: str, variables: dict[str, Any]) -> Instance:
        """An instance with everything that is the same for all of its step."""
        tail = self._tails.get(plan.step.name)
        if tail is None:
            proto = Instance("", plan.step, {}, [], [])
            for attribute, value in plan.constants.items():
                setattr(proto, attribute, value)
            tail = self._tails[plan.step.name] = tuple(getattr(proto, field) for field in _FIELDS[_HEAD:])
        return Instance(name, plan.step, variables, [], [], *tail)

    def scope(self, plan: StepPlan, instance: Instance) -> dict[str, Any]:
        """What an instance's templates see before anything of it is rendered."""
        scope = {**self.base, **instance.variables}
        if plan.uses.uses_step:
            scope["step"] = {"name": plan.step.name, "instance": instance.name}
        return scope

    def early(
        self,
        state: StepState,
        instance: Instance,
        scope: dict[str, Any],
        attempt: int = 1,
        cpus: float | None = None,
    ) -> None:
        """Render env and resources into ``instance`` and ``scope``. ``cpus``: what is granted, where that is less."""
        plan = state.plan
        self._cpus = cpus
        if not plan.env_templates and not plan.resource_templates:
            instance.env = scope["env"] = plan.env
            instance.resources = plan.resources
            scope["resources"] = self._shown(plan.resources)
            return
        problems = state.problems[OUTPUTS]
        scope["attempt"] = attempt
        order = (self._resources, self._env) if plan.uses.resources_first else (self._env, self._resources)
        for render in order:
            render(state, instance, scope, problems)
        del scope["attempt"]

    def _shown(self, resources: dict[str, float | int]) -> dict[str, float | int]:
        return _ONE_CPU if not resources and self._cpus is None else shown_resources(resources, self._cpus)

    def _env(self, state: StepState, instance: Instance, scope: dict[str, Any], problems: Problems) -> None:
        plan = state.plan
        if not plan.env_templates:
            instance.env = scope["env"] = plan.env
            return
        shared = self._cpus is None and not plan.uses.env_varies
        if shared and "env" in state.early and "attempt" not in plan.uses.early_names:
            instance.env = scope["env"] = state.early["env"]
            if "env" in state.broken_early:
                state.break_part(instance.name, "env", state.first_reason)
                scope["env"] = BROKEN
            return
        rendering = Environment(plan.env, scope)
        scope["env"] = rendering
        env: dict[str, str] = {}
        for name in plan.env:
            try:
                env[name] = rendering[name]
            except (TemplateError, Broken) as error:
                _report(state, problems, instance, "env", error)
                state.broken_early.add("env")
        instance.env = scope["env"] = env
        self.charge(size_of(env))
        if shared:
            state.early["env"] = env
        if "env" in state.broken_parts.get(instance.name, ()):
            scope["env"] = BROKEN

    def _resources(
        self, state: StepState, instance: Instance, scope: dict[str, Any], problems: Problems
    ) -> None:
        plan = state.plan
        if not plan.resource_templates:
            instance.resources = plan.resources
            scope["resources"] = self._shown(plan.resources)
            return
        if (
            not plan.uses.resources_vary
            and "resources" in state.early
            and "attempt" not in plan.uses.early_names
        ):
            instance.resources = state.early["resources"]
            scope["resources"] = self._shown(instance.resources)
            if "resources" in state.broken_early:
                state.break_part(instance.name, "resources", state.first_reason)
                scope["resources"] = BROKEN
            return
        resources: dict[str, float | int] = {}
        broken = False
        for name, value in plan.resources.items():
            try:
                if isinstance(value, Template):
                    text = value.render(scope)
                    try:
                        resources[name] = to_resource(name, text)
                    except ValueError as error:
                        raise value.fail(str(error)) from None
                else:
                    resources[name] = value
            except (TemplateError, Broken) as error:
                _report(state, problems, instance, "resources", error)
                broken = True
        self.charge(EDGE * len(resources))
        instance.resources = state.early["resources"] = resources
        scope["resources"] = self._shown(resources)
        if broken:
            state.broken_early.add("resources")
            scope["resources"] = BROKEN

    def restore_early(self, state: StepState, instance: Instance, scope: dict[str, Any]) -> None:
        """Put env and resources that have been rendered back into a fresh ``scope``."""
        if not state.broken_parts:
            scope["env"] = instance.env
            scope["resources"] = self._shown(instance.resources)
            return
        broken = state.broken_parts.get(instance.name, ())
        scope["env"] = BROKEN if "env" in broken else instance.env
        scope["resources"] = BROKEN if "resources" in broken else self._shown(instance.resources)

    def outputs(self, state: StepState, instance: Instance, scope: dict[str, Any]) -> None:
        """Render the declared outputs."""
        problems = state.problems[OUTPUTS]
        found: list[Output] = []
        named: dict[str, str | list[str]] = {}
        for plan in state.plan.outputs:
            try:
                new = self._output(state.plan, plan, scope)
            except (TemplateError, Broken) as error:
                _report(state, problems, instance, "outputs", error)
                continue
            found += new
            if plan.decl.group is not None:
                _name(named, plan, [output.path for output in new])
        instance.outputs = found
        instance.named_outputs = named

    def _output(self, step: StepPlan, plan: PathPlan, scope: Scope) -> list[Output]:
        decl = plan.decl
        temp, protected = decl.temp, decl.protected
        if step.flags:
            for flag, template in step.flags.get(id(plan), {}).items():
                try:
                    value = to_bool(template.render(scope))
                except ValueError as error:
                    raise template.fail(str(error)) from None
                temp, protected = (value, protected) if flag == "temp" else (temp, value)
        if plan.template is None:
            return [Output(plan.path, decl.text.endswith("/"), temp, protected)]
        out = []
        for text in plan.template.texts(scope):
            try:
                path, directory = self.paths.output(text)
            except PathError as error:
                raise plan.template.fail(error.message, error.hint) from None
            out.append(Output(path, directory, temp, protected))
        return out

    def inputs(self, state: StepState, instance: Instance, scope: dict[str, Any]) -> None:
        """Render the declared inputs and expand their globs."""
        problems = state.problems[INPUTS]
        plans = state.plan.inputs
        if state.plan.constant_inputs:
            shared = state.shared_inputs
            if shared is None:
                paths = [plan.path for plan in plans]
                names: dict[str, str | list[str]] = {}
                for plan in plans:
                    if plan.decl.group is not None:
                        _name(names, plan, [plan.path])
                shared = state.shared_inputs = (paths, names)
            instance.inputs, instance.named_inputs = shared
            return
        found: list[str] = []
        named: dict[str, str | list[str]] = {}
        for plan in plans:
            try:
                new = self._input(state, plan, scope)
            except (TemplateError, Broken) as error:
                _report(state, problems, instance, "inputs", error)
                continue
            except PathError as error:
                problems.text(state.plan.step, plan.decl.key, error.message, error.hint)
                state.break_part(instance.name, "inputs", error.message)
                continue
            if plan.glob and not new and not plan.decl.optional:
                state.break_part(instance.name, "glob")
                if not state.plan.pattern:
                    text = plan.template.render(scope) if plan.template else plan.decl.text
                    state.unmatched.inputs.setdefault(instance.name, []).append((plan.decl.key, text))
            self.charge(EDGE * len(new) if len(new) > 1 else PATH + len(new[0]) if new else 0)
            found += new
            if plan.decl.group is not None:
                _name(named, plan, new)
        instance.inputs = found
        instance.named_inputs = named

    def _input(self, state: StepState, plan: PathPlan, scope: Scope) -> list[str]:
        template = plan.template
        if template is None:
            return self._glob(state, plan, plan.decl.text, plan.decl.text) if plan.glob else [plan.path]
        out = []
        try:
            # A glob from the config is meant as one; what a variable holds is a name, whatever is in it.
            trusted = template.single and template.names <= _FROM_CONFIG
            for text in template.texts(scope):
                pattern = ""
                if plan.glob or (has_glob(text) and not template.names.isdisjoint(_FROM_CONFIG)):
                    pattern = text if trusted else "" if template.single else _pattern(template, scope)
                if pattern and is_pattern(pattern):
                    out += self._glob(state, plan, text, pattern)
                else:
                    out.append(self.paths.input(text))
        except PathError as error:
            raise template.fail(error.message, error.hint) from None
        return out

    def _glob(self, state: StepState, plan: PathPlan, text: str, pattern: str) -> list[str]:
        """Files for ``pattern``; the path ``text`` itself where that exists or is made. Raises PathError."""
        if pattern in state.matches:
            return state.matches[pattern]
        literal = self.paths.relative(text)
        if self.made.declares(literal) or self.facts.exists(literal):
            found = [self.paths.input(text)]
        else:
            slash = "/" if pattern.endswith("/") else ""
            try:
                glob = Glob(self.paths.relative(pattern) + slash, {})
                state.globs[pattern] = glob
                found = match_glob(glob, state.name, self.made, self.facts, state.orphans[INPUTS])
            except re.error as error:
                raise PathError(f"{pattern!r} is no glob: {error}") from None
            except Unbounded as error:
                raise PathError(error.message, "write it with fewer `*`") from None
            except Unlistable as error:
                raise PathError(str(error), error.hint) from None
        state.matches[pattern] = found
        return found

    def inputs_view(self, state: StepState, instance: Instance) -> Any:
        """`inputs` as the instance's own templates see them."""
        broken = state.broken_parts.get(instance.name, ())
        return BROKEN if "inputs" in broken else own_paths(instance, INPUTS)

    def full_scope(
        self, state: StepState, instance: Instance, attempt: int, cpus: float | None = None
    ) -> dict[str, Any]:
        """What the fields that are rendered last see."""
        self._cpus = cpus
        scope = self.scope(state.plan, instance)
        self.restore_early(state, instance, scope)
        scope["attempt"] = attempt
        broken = state.broken_parts.get(instance.name, ()) if state.broken_parts else ()
        names = state.plan.uses.late_names
        if "inputs" in names:
            scope["inputs"] = BROKEN if "inputs" in broken else own_paths(instance, INPUTS)
        if "outputs" in names:
            scope["outputs"] = BROKEN if "outputs" in broken else own_paths(instance, OUTPUTS)
        return scope


def shown_resources(resources: dict[str, float | int], cpus: float | None) -> dict[str, float | int]:
    """Resources as templates see them: `cpu: 2` is 2, not 2.0, so that `make -j ${{ resources.cpu }}` works.

    `cpu` is 1 where nothing is asked for, and at most ``cpus``, what is granted.
    """
    shown = {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in resources.items()
    }
    asked = shown.setdefault("cpu", 1)
    if cpus is not None and cpus < asked:
        shown["cpu"] = int(cpus) if float(cpus).is_integer() else cpus
    return shown


def _pattern(template: Template, scope: Scope) -> str:
    """The glob that a path with expressions is: only what the recipe's author wrote is a pattern."""
    out = []
    for part in template.parts:
        if isinstance(part, str):
            out.append(part)
        else:
            text = template.convert(part, scope, to_text)
            out.append(text if part.names <= _FROM_CONFIG else escape(text))
    return "".join(out)


def _name(named: dict[str, str | list[str]], plan: PathPlan, paths: list[str]) -> None:
    group = plan.decl.group
    assert group is not None
    if plan.decl.single and len(paths) == 1:
        named[group] = paths[0]
        return
    known = named.setdefault(group, [])
    assert isinstance(known, list)
    known += paths


def _report(
    state: StepState, problems: Problems, instance: Instance, part: str, error: TemplateError | Broken
) -> None:
    """``part`` of ``instance`` could not be rendered; what only hangs on another fault is not told."""
    reason = ""
    if isinstance(error, TemplateError):
        reason = problems.template(state.plan.step, error)
    state.break_part(instance.name, part, reason)
