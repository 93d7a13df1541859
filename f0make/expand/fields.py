"""The fields of a step as functions of a scope: what is constant, what depends on the instance."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from f0make.expand.values import argument, holds
from f0make.model import TEMPLATE_OPEN, Step
from f0make.recipe import scalars
from f0make.template.render import Scope, Template

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

Compile = Callable[[str, str, bool], Template | None]
"""(text, key, quoted) -> the template, None when it could not be compiled (which has been reported)."""


class Field:
    """A field of Instance that is rendered; ``names`` are the scope's names that it uses."""

    __slots__ = ("attribute", "names", "render", "templates")

    def __init__(self, attribute: str, templates: list[Template], render: Callable[[Scope], Any]) -> None:
        self.attribute = attribute
        self.templates = templates
        self.names: frozenset[str] = frozenset().union(*(t.names for t in templates))
        self.render = render


def has_template(value: Any) -> bool:
    """Whether there is a template anywhere in ``value`` (text, or lists and maps)."""
    if isinstance(value, str):
        return TEMPLATE_OPEN in value
    if isinstance(value, list):
        return any(map(has_template, value))
    return isinstance(value, dict) and any(map(has_template, value.values()))


def converted(template: Template, convert: Callable[[str], Any]) -> Callable[[Scope], Any]:
    """Renders ``template`` and turns its text into a value; a bad one is an error at its expression."""

    def render(scope: Scope) -> Any:
        text = template.render(scope)
        try:
            return convert(text)
        except ValueError as error:
            raise template.fail(str(error)) from None

    return render


class FieldCompiler:
    """Makes a step's fields; constants go to ``constants`` as they are."""

    def __init__(self, step: Step, compile: Compile) -> None:
        self.step = step
        self.compile = compile
        self.constants: dict[str, Any] = {}
        self.fields: list[Field] = []

    def scalar(
        self, attribute: str, value: Any, key: str, convert: Callable[[str], Any], quoted: bool = False
    ) -> None:
        """A field of one value; without a template the recipe has converted it already."""
        if not has_template(value):
            self.constants[attribute] = value
            return
        template = self.compile(value, key, quoted)
        if template is not None:
            self.fields.append(Field(attribute, [template], converted(template, convert)))

    def texts(
        self, attribute: str, values: list[Any], key: str, convert: Callable[[str], Any], quoted: bool = False
    ) -> None:
        """A field of a list; a template that comes to a list is as many items (not where they are quoted)."""
        if not has_template(values):
            self.constants[attribute] = values
            return
        items: list[Any] = []
        for number, value in enumerate(values):
            if has_template(value):
                place = f"{key}[{number}]"
                value = self.compile(value, place if place in self.step.marks else key, quoted)
                if value is None:
                    return
            items.append(value)
        templates = [item for item in items if isinstance(item, Template)]

        def render(scope: Scope) -> list[Any]:
            out: list[Any] = []
            for item in items:
                if not isinstance(item, Template):
                    out.append(item)
                elif quoted:
                    out.append(item.render(scope))
                else:
                    out += _converted_all(item, item.texts(scope), convert)
            return out

        self.fields.append(Field(attribute, templates, render))

    def tree(self, attribute: str, value: Any, key: str) -> None:
        """A field of text, lists and maps at any depth."""
        if not has_template(value):
            self.constants[attribute] = value
            return
        templates: list[Template] = []
        compiled = self._compile_tree(value, key, templates)
        if compiled is not None:
            self.fields.append(Field(attribute, templates, lambda scope: _render_tree(compiled, scope)))

    def _compile_tree(self, value: Any, key: str, templates: list[Template]) -> Any:
        """``value`` with Template for text that has one; None when any of them cannot be compiled."""
        if isinstance(value, str) and TEMPLATE_OPEN in value:
            template = self.compile(value, key, False)
            if template is not None:
                templates.append(template)
            return template
        if isinstance(value, list):
            items = [self._compile_tree(item, f"{key}[{n}]", templates) for n, item in enumerate(value)]
            return None if any(item is None for item in items) else items
        if isinstance(value, dict):
            entries = {
                name: self._compile_tree(item, f"{key}.{name}", templates) for name, item in value.items()
            }
            return None if any(item is None for item in entries.values()) else entries
        return value


def _converted_all(template: Template, texts: list[str], convert: Callable[[str], Any]) -> list[Any]:
    try:
        return [convert(text) for text in texts]
    except ValueError as error:
        raise template.fail(str(error)) from None


def _render_tree(value: Any, scope: Scope) -> Any:
    if isinstance(value, Template):
        return argument(value.value(scope))
    if isinstance(value, list):
        out: list[Any] = []
        for item in value:
            rendered = _render_tree(item, scope)
            spread = isinstance(item, Template) and isinstance(rendered, list)
            out += rendered if spread else [rendered]
        return out
    if isinstance(value, dict):
        return {name: _render_tree(item, scope) for name, item in value.items()}
    return value


def compile_late(step: Step, compile: Compile) -> FieldCompiler:
    """Everything that is rendered once inputs and outputs are known."""
    made = FieldCompiler(step, compile)
    script = step.run is not None and step.run.startswith("#!")
    made.scalar("command", step.run, "run", str, quoted=not script)
    made.scalar("shell", step.shell, "shell", str)
    made.scalar("retries", step.retries, "retries", scalars.to_count)
    made.scalar("retry_delay", step.retry_delay, "retry_delay", scalars.to_duration)
    made.scalar("timeout", step.timeout, "timeout", scalars.to_timeout)
    made.scalar("priority", step.priority, "priority", scalars.to_int)
    made.scalar("depfile", step.depfile, "depfile", str)
    made.scalar("not_empty", step.success.not_empty, "success.not_empty", scalars.to_bool)
    made.scalar("cache", step.cache, "cache", scalars.to_bool)
    made.scalar("always", step.always, "always", scalars.to_bool)
    made.scalar("module", step.module, "module", str)
    made.scalar("function", step.function, "function", str)
    made.texts("depends_on", step.depends_on, "depends_on", str)
    made.texts("runs_on", step.runs_on, "runs_on", str)
    made.texts("fingerprint", step.fingerprint, "fingerprint", str, quoted=True)
    made.texts("ctx_has_keys", step.success.ctx_has_keys, "success.ctx_has_keys", str)
    made.texts("exit_codes", step.success.exit_codes or [0], "success.exit_codes", scalars.to_exit_code)
    made.tree("args", step.args, "args")
    if step.when is None or not has_template(step.when):
        made.constants["when"] = step.when is None or holds(step.when)
    else:
        template = compile(step.when, "when", False)
        if template is not None:
            made.fields.append(Field("when", [template], lambda scope: _holds(template, scope)))
    return made


def _holds(template: Template, scope: Scope) -> bool:
    value = template.value(scope) if template.single else template.render(scope)
    return value is not None and holds(value if isinstance(value, str) else template.render(scope))


def compile_map(values: Mapping[str, Any], key: str, compile: Compile) -> dict[str, Any]:
    """A map (`env`, `resources`) with Template for each value that has one, "" for one that cannot be compiled."""
    out: dict[str, Any] = {}
    for name, value in values.items():
        if has_template(value):
            value = compile(value, f"{key}.{name}", False) or ""
        out[name] = value
    return out
