"""Steps -> instances with inputs and outputs, in an order that the templates themselves ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from f0make.allowance import PATH, Allowance, place
from f0make.expand.declared_paths import Paths
from f0make.expand.env_rendering import Environment
from f0make.expand.expansion_facts import Facts
from f0make.expand.foreach import ForeachExpander
from f0make.expand.glob_matching import match_glob
from f0make.expand.globs import Glob
from f0make.expand.instance_names import instance_name
from f0make.expand.makers import Made
from f0make.expand.missing_need import IsPending, NeedsStage
from f0make.expand.problem_collector import Problems
from f0make.expand.renderer import Renderer
from f0make.expand.requested_instances import Asked, unnamed
from f0make.expand.step_plan import StepPlan
from f0make.expand.step_state import INPUTS, OUTPUTS, StepState
from f0make.expand.steps_view import StepsView
from f0make.model import Instance, Recipe, Step
from f0make.suggest import nearest
from f0make.template.template_values import Broken

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_ROUNDS = 50
"""Rounds in which globs may find what other globs' instances make; each round is one link of such a chain."""


class Stages:
    """All steps of a recipe, each taken through its stages once, or again while globs still find more."""

    def __init__(
        self,
        recipe: Recipe,
        facts: Facts,
        finished: frozenset[str],
        failed: frozenset[str] = frozenset(),
    ) -> None:
        self.recipe = recipe
        self.facts = facts
        self.finished = finished
        self.failed = failed
        """Steps that never come to instances: they and what needs them wait for ever."""
        self.problems = Problems(recipe)
        self.paths = Paths(facts.workspace, recipe.files)
        self.made = Made()
        self.allowance = Allowance()
        names = [step.name for step in recipe.steps]
        self.view = StepsView(names, self)
        self.renderer = Renderer(
            {"config": recipe.config, "steps": self.view}, self.paths, self.made, facts, self.allowance.charge
        )
        self.asked = Asked(self.renderer, recipe.wildcards)
        odd = [name for name in names if not name.isidentifier()]
        self.states: dict[str, StepState] = {}
        self.uses: dict[str, set[str]] = {}
        """Step -> the steps that its templates name as `steps.NAME`."""
        self.waiting: dict[str, str] = {}
        """Files for pattern steps that cannot be judged yet -> the step that must finish first."""
        for step in recipe.steps:
            place.at(step.where(), step.name)
            plan = StepPlan(step, self.paths, odd, self.problems)
            self.states[step.name] = StepState(plan, recipe)

    def is_pattern(self, name: str) -> bool:
        """Whether the step ``name`` is a pattern step."""
        return self.states[name].plan.pattern

    def ask(
        self, name: str, stage: str, wanted: Mapping[str, Sequence[str]] | None = None
    ) -> Sequence[Instance]:
        """What `steps.NAME` sees: all instances, or those of a pattern step with the ``wanted`` values.

        Raises NeedsStage, IsPending, Broken and Missing.
        """
        state = self.states[name]
        self.uses.setdefault(self.asked.asker, set()).add(name)
        pattern = state.plan.pattern
        if pattern and wanted is None:
            names = [*state.plan.variables, *state.plan.wildcards]
            raise unnamed(name, names, names)
        if state.after is not None:
            raise IsPending(name)
        if stage not in state.done:
            raise NeedsStage(name, stage)
        if state.broken:
            raise Broken
        if pattern and wanted is not None:
            return self.asked.instances(state, wanted, stage)
        return state.instances

    def whole(self, name: str, stage: str, instances: Sequence[Instance]) -> None:
        """Raise Broken where ``stage`` of one of these ``instances`` of step ``name`` could not be rendered."""
        broken = self.states[name].broken_parts
        if broken and any(stage in broken.get(instance.name, ()) for instance in instances):
            raise Broken

    def hold_back(self) -> None:
        """Mark the steps that wait for an unfinished `after:`, and those that depend on them."""
        waiting: list[str] = []
        users: dict[str, list[str]] = {}
        for step in self.recipe.steps:
            for name in step.depends_on:
                users.setdefault(name, []).append(step.name)
            after = self._awaited(step)
            if after is not None:
                self.states[step.name].drop(after)
                waiting.append(step.name)
        while waiting:
            name = waiting.pop()
            for user in users.get(name, ()):
                if self.states[user].after is None:
                    self.states[user].drop(self.states[name].after or name)
                    waiting.append(user)

    def _awaited(self, step: Step) -> str | None:
        if step.name in self.failed:
            return step.name
        for entry in step.foreach:
            if entry.after is not None and entry.after not in self.finished and entry.after in self.states:
                return entry.after
        return None

    def ordered(self) -> list[StepState]:
        """Steps whose globs look at others' outputs come last, so that few rounds are needed."""
        return sorted(self.states.values(), key=lambda state: state.plan.globs_foreach)

    def volatile(self) -> list[StepState]:
        """Steps whose instances may change when other steps' instances do."""
        return [
            s for s in self.states.values() if s.after is None and (_outputs_vary(s) or s.plan.globs_inputs)
        ]

    def round(self) -> None:
        """Take every step through the stages that it has not done."""
        order = self.ordered()
        for stage in (OUTPUTS, INPUTS):
            for state in order:
                self.demand(state.name, stage)

    def again(self) -> None:
        """Make those stages undone that may now come out differently."""
        for state in self.volatile():
            if _outputs_vary(state):
                state.done.discard(OUTPUTS)
            state.done.discard(INPUTS)

    def demand(self, name: str, stage: str) -> None:
        """Do ``stage`` of step ``name``, and before it whatever stages of others it turns out to need."""
        stack = [(name, stage)]
        waiting = {(name, stage)}
        while stack:
            top = stack[-1]
            state = self.states[top[0]]
            try:
                if top[1] not in state.done:
                    self._perform(state, top[1])
            except NeedsStage as need:
                wanted = (need.name, need.stage)
                if wanted not in waiting:
                    stack.append(wanted)
                    waiting.add(wanted)
                    continue
                self._cycle(state, [*stack[stack.index(wanted) :], wanted])
                state.done |= {OUTPUTS, INPUTS}
            except IsPending as pending:
                self.withhold(state, self.states[pending.name].after or pending.name)
            stack.pop()
            waiting.discard(top)

    def _cycle(self, state: StepState, loop: list[tuple[str, str]]) -> None:
        state.broken = True
        names = [f"steps.{name}.{stage}" for name, stage in loop]
        text = " needs ".join(names) if len(names) > 2 else f"{names[0]} is used to make itself"
        state.begin(OUTPUTS).at(state.plan.step, "", f"templates go round in a circle: {text}")

    def _perform(self, state: StepState, stage: str) -> None:
        self.asked.begin(state.name, stage)
        self.allowance.begin(state.name, stage, state.place)
        if stage == OUTPUTS:
            if state.plan.pattern:
                self._pattern_stage(state)
            else:
                self._make_instances(state)
            return
        if OUTPUTS not in state.done:
            raise NeedsStage(state.name, OUTPUTS)
        if INPUTS in state.done or state.plan.pattern:
            state.done.add(INPUTS)
            return
        state.begin(INPUTS)
        if state.plan.constant_inputs:
            for instance in state.instances:
                self.renderer.inputs(state, instance, {})
        else:
            for instance in state.instances:
                scope = self.renderer.scope(state.plan, instance)
                self.renderer.restore_early(state, instance, scope)
                self.renderer.inputs(state, instance, scope)
        state.done.add(INPUTS)
        self.view.forget(state.name)

    def combinations(self, state: StepState) -> list[dict[str, Any]]:
        """The variables of the step's `foreach`; none where it is at fault (reported)."""
        scope = dict(self.renderer.base)
        if state.plan.uses.foreach_names_env:
            scope["env"] = Environment(state.plan.env, scope)
        orphans = state.orphans[OUTPUTS]

        def match(glob: Glob) -> list[str]:
            slash = "/" if glob.directories else ""
            glob = Glob(self.paths.relative(glob.text) + slash, self.recipe.wildcards)
            state.globs[glob.text] = glob
            return match_glob(glob, state.name, self.made, self.facts, orphans)

        found = ForeachExpander(
            state, self.facts, self.recipe.wildcards, match, self.allowance.charge
        ).expand(scope)
        if found is None:
            state.broken = True
            return []
        return found

    def _make_instances(self, state: StepState) -> None:
        plan = state.plan
        before = (state.combinations, state.problems.get(OUTPUTS))
        problems = state.begin(OUTPUTS)
        state.broken = plan.broken
        combinations = self.combinations(state)
        if (
            combinations == before[0]
            and not plan.uses.asks_steps
            and not plan.uses.inputs_first
            and before[1] is not None
        ):
            problems.absorb(before[1])
            self.allowance.as_before()
            state.done.add(OUTPUTS)
            return
        state.combinations = None
        state.early.clear()
        state.broken_early.clear()
        state.broken_parts.clear()
        state.reasons.clear()
        instances: list[Instance] = []
        seen: set[str] = set()
        charge = self.allowance.charge
        if plan.uses.inputs_first:
            state.begin(INPUTS)
        for variables in combinations:
            name = instance_name(plan.step.name, variables)
            if name in seen:
                problems.text(
                    plan.step, "foreach", f"two instances would be called {name}", "values must differ"
                )
                continue
            seen.add(name)
            instance = self.renderer.new(plan, name, variables)
            scope = self.renderer.scope(plan, instance)
            self.renderer.early(state, instance, scope)
            if plan.uses.inputs_first:
                self.renderer.inputs(state, instance, scope)
                scope["inputs"] = self.renderer.inputs_view(state, instance)
            self.renderer.outputs(state, instance, scope)
            weight = 2 * len(name)
            for output in instance.outputs:
                weight += PATH + len(output.path)
            charge(weight)
            instances.append(instance)
        state.instances = instances
        state.combinations = combinations
        state.done |= {OUTPUTS, INPUTS} if plan.uses.inputs_first else {OUTPUTS}
        self._changed(state)

    def _pattern_stage(self, state: StepState) -> None:
        state.begin(OUTPUTS)
        state.begin(INPUTS)
        state.combinations = self.combinations(state)
        state.early.clear()
        for name in state.plan.wildcards:
            meant = nearest(name, state.plan.variables) if name not in self.recipe.wildcards else None
            if meant is not None:
                state.warn(
                    OUTPUTS,
                    f"step {state.name}: `{name}` is in no foreach, so this is a pattern step, made for files that "
                    f"others ask for; did you mean `{meant}`?",
                )
        state.done |= {OUTPUTS, INPUTS}

    def _changed(self, state: StepState) -> None:
        self.made.replace(state.name, state.instances)
        self.view.forget(state.name)

    def withhold(self, state: StepState, after: str) -> None:
        """Take a step's instances back: it must wait for ``after``."""
        state.drop(after)
        self._changed(state)

    def set_instances(self, state: StepState, instances: list[Instance]) -> None:
        """Give a pattern step the instances that were asked for."""
        state.instances = instances
        self._changed(state)

    def not_converging(self) -> None:
        """Report that globs never stop finding new files."""
        names = [s.name for s in self.volatile()]
        step = self.states[names[0]].plan.step
        self.problems.at(
            step,
            "foreach" if step.foreach else "inputs",
            f"globs and outputs of {', '.join(names)} feed each other without end",
            "let a glob match no file that a later step makes from it",
        )


def _outputs_vary(state: StepState) -> bool:
    plan: StepPlan = state.plan
    return plan.globs_foreach or plan.uses.asks_steps or (plan.uses.inputs_first and plan.globs_inputs)
