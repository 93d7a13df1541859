"""A step, compiled: which of its texts are templates, what each needs, when it can be rendered."""

from __future__ import annotations

from collections.abc import Iterable

from f0make.expand.declared_paths import PathError, Paths
from f0make.expand.fields import compile_late, compile_map, has_template
from f0make.expand.globs import has_glob
from f0make.expand.problem_collector import Problems
from f0make.expand.step_uses import StepUses
from f0make.model import PathDecl, Step
from f0make.template.render_text import Template, TemplateError
from f0make.template.run_text import Command
from f0make.template.value_access import RESERVED

_EARLY = frozenset({"config", "env", "resources", "steps", "step"})


class PathPlan:
    """A declared path: constant, a template, a glob."""

    __slots__ = ("decl", "glob", "path", "template")

    def __init__(self, decl: PathDecl, template: Template | None) -> None:
        self.decl = decl
        self.template = template
        literal = decl.text if template is None else "".join(p for p in template.parts if isinstance(p, str))
        self.glob = has_glob(literal) or decl.optional
        self.path = ""
        """The normalised path where it is constant."""


class StepPlan:
    """What expansion needs to know of a step, worked out once."""

    def __init__(self, step: Step, paths: Paths, odd_steps: Iterable[str], problems: Problems) -> None:
        """``odd_steps``: names of steps that are no identifiers. What cannot be compiled goes to ``problems``."""
        self.step = step
        self.broken = False
        """True when inputs or outputs cannot be compiled: the step has no instances that count."""
        self._problems = problems
        self.odd_steps = list(odd_steps)
        self.variables = tuple(name for entry in step.foreach for name in entry.variables)
        self.env = compile_map(step.env, "env", self.compile)
        self.env_templates = any(isinstance(value, Template) for value in self.env.values())
        self.resources = compile_map(step.resources, "resources", self.compile)
        self.resource_templates = any(isinstance(value, Template) for value in self.resources.values())
        self.inputs = [plan for decl in step.inputs if (plan := self._path(decl)) is not None]
        self.outputs = [plan for decl in step.outputs if (plan := self._path(decl)) is not None]
        self.broken = len(self.inputs) + len(self.outputs) < len(step.inputs) + len(step.outputs)
        self.wildcards = self._find_wildcards()
        self.flags = {
            id(plan): flags
            for plan in self.outputs
            if (flags := compile_map(_flags(plan.decl), _base(plan.decl), self.compile))
        }
        late = compile_late(step, self.compile, self.compile_command)
        self.constants = late.constants
        self.late = late.fields
        self._constant_paths(paths)
        self._check_names()
        self.globs_inputs = any(p.glob for p in self.inputs)
        self.globs_foreach = any(entry.kind == "glob" for entry in step.foreach)
        self.constant_inputs = all(p.template is None and not p.glob for p in self.inputs)
        self.uses = StepUses(
            (*self.variables, *self.wildcards),
            " ".join(str(entry.values) for entry in step.foreach),
            self.env,
            self.resources,
            [p.template for p in self.inputs],
            [*(p.template for p in self.outputs), *(t for m in self.flags.values() for t in m.values())],
            self.late,
        )

    def compile(self, text: str, key: str) -> Template | None:
        """The template of ``text``; None, and a problem, when it is none."""
        try:
            return Template(text, key, self.odd_steps)
        except TemplateError as error:
            self._problems.template(self.step, error)
            return None

    def compile_command(self, text: str, key: str, shell: str | None) -> Command | None:
        """The template of ``text``, which ``shell`` runs; None, and a problem, when it is none.

        Where ``shell`` holds a template itself, the text is read when that is known.
        """
        try:
            command = Command(text, key, self.odd_steps)
            if shell is None or not has_template(shell):
                command.read(shell)
            return command
        except TemplateError as error:
            self._problems.template(self.step, error)
            return None

    def _path(self, decl: PathDecl) -> PathPlan | None:
        if not has_template(decl.text):
            return PathPlan(decl, None)
        template = self.compile(decl.text, decl.key)
        return None if template is None else PathPlan(decl, template)

    def _constant_paths(self, paths: Paths) -> None:
        for plan in self.inputs:
            if plan.template is None and not plan.glob:
                try:
                    plan.path = paths.input(plan.decl.text)
                except PathError as error:
                    self._problems.at(self.step, plan.decl.key, error.message, error.hint)
                    self.broken = True
        for plan in self.outputs:
            if plan.template is None:
                try:
                    plan.path = paths.output(plan.decl.text)[0]
                except PathError as error:
                    self._problems.at(self.step, plan.decl.key, error.message, error.hint)
                    self.broken = True

    def _find_wildcards(self) -> tuple[str, ...]:
        """Variables of a pattern step in the order in which its outputs name them."""
        found: dict[str, None] = {}
        for plan in self.outputs:
            for piece in plan.template.pieces() if plan.template else ():
                if piece.bare is not None and piece.bare not in self.variables and piece.bare not in RESERVED:
                    found[piece.bare] = None
        return tuple(found)

    @property
    def pattern(self) -> bool:
        """Whether this is a pattern step."""
        return bool(self.wildcards)

    def _check_names(self) -> None:
        """Report names that nothing defines, also where no instance will ever be rendered."""
        known = _EARLY | set(self.variables) | set(self.wildcards)
        early = [t for t in [*self.env.values(), *self.resources.values()] if isinstance(t, Template)]
        self._check(early, known | {"attempt"})
        self._check([p.template for p in self.inputs if p.template], known)
        flags = [t for m in self.flags.values() for t in m.values() if isinstance(t, Template)]
        self._check([*flags, *(p.template for p in self.outputs if p.template)], known | {"inputs"})
        self._check([t for f in self.late for t in f.templates], known | {"inputs", "outputs", "attempt"})

    def _check(self, templates: Iterable[Template], known: Iterable[str]) -> None:
        for template in templates:
            for error in template.unknown(known):
                self._problems.template(self.step, error)


def _flags(decl: PathDecl) -> dict[str, object]:
    """`temp` and `protected` where they hold templates."""
    return {name: v for name in ("temp", "protected") if isinstance(v := getattr(decl, name), str)}


def _base(decl: PathDecl) -> str:
    return decl.key.removesuffix(".path")
