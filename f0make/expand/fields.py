"""The fields of a step as functions of a scope: what is constant, what depends on the instance."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from f0make.expand.field_values import argument, holds
from f0make.expand.steps_view import for_command
from f0make.model import TEMPLATE_OPEN, Instance, Step
from f0make.recipe import scalars
from f0make.recipe.keys import LATE, NEVER, STEP_KEYS, Key
from f0make.recipe.kinds import Scalar
from f0make.template.render_text import Scope, Template
from f0make.template.run_text import Command
from f0make.template.template_values import to_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

Compile = Callable[[str, str], Template | None]
"""(text, key) -> the template, None when it could not be compiled (which has been reported)."""
KeyForm: TypeAlias = "Callable[[Scope, frozenset[str]], Any]"
CompileCommand = Callable[[str, str, "str | None"], Command | None]
"""(text, key, shell) -> the same for what a shell runs."""


class Field:
    """A field of Instance that is rendered; ``names`` are the scope's names that it uses."""

    __slots__ = ("attribute", "key", "names", "render", "templates")

    def __init__(
        self,
        attribute: str,
        templates: list[Template],
        render: Callable[[Scope], Any],
        key: KeyForm | None = None,
    ) -> None:
        self.attribute = attribute
        self.key = key
        """(scope, unkeyed variables of env) -> the value as it stands in the key; None where it is no part of that."""
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

    def __init__(self, step: Step, compile: Compile, compile_command: CompileCommand) -> None:
        self.step = step
        self.compile = compile
        self.compile_command = compile_command
        self.constants: dict[str, Any] = {}
        self.fields: list[Field] = []

    def scalar(self, attribute: str, value: Any, key: str, convert: Callable[[str], Any]) -> None:
        """A field of one value; without a template the recipe has converted it already."""
        if not has_template(value):
            self.constants[attribute] = value
            return
        template = self.compile(value, key)
        if template is not None:
            self.fields.append(Field(attribute, [template], converted(template, convert)))

    def texts(self, attribute: str, values: list[Any], key: str, convert: Callable[[str], Any]) -> None:
        """A field of a list; a template that comes to a list is as many items."""
        if not has_template(values):
            self.constants[attribute] = values
            return
        items: list[Any] = []
        for number, value in enumerate(values):
            if has_template(value):
                value = self.compile(value, self._place(key, number))
                if value is None:
                    return
            items.append(value)
        templates = [item for item in items if isinstance(item, Template)]

        def render(scope: Scope) -> list[Any]:
            out: list[Any] = []
            for item in items:
                if not isinstance(item, Template):
                    out.append(item)
                else:
                    out += _converted_all(item, item.texts(scope), convert)
            return out

        self.fields.append(Field(attribute, templates, render))

    def _place(self, key: str, number: int) -> str:
        """The key path of an item of a list, or of what stands for a list of one."""
        place = f"{key}[{number}]"
        return place if place in self.step.marks else key

    def command(self, shell: str | None) -> None:
        """The text of a shell step, which ``shell`` runs."""
        text = self.step.run
        if not has_template(text):
            self.constants["command"] = text
            return
        assert text is not None
        command = self.compile_command(text, "run", shell)
        if command is None:
            return
        by = self.compile(shell, "shell") if shell is not None and has_template(shell) else None
        templates: list[Template] = [command] if by is None else [command, by]

        def render(scope: Scope) -> str:
            by_shell = shell if by is None else by.render(scope)
            plain = command.plain(by_shell, scope)
            if plain is not None:
                return plain
            return command.run_by(by_shell, for_command(scope, command.names))

        def key(scope: Scope, unkeyed: frozenset[str]) -> str:
            by_shell = shell if by is None else by.render(scope)
            return command.key_text(by_shell, for_command(scope, command.names), unkeyed)

        self.fields.append(Field("command", templates, render, key))

    def commands(self, attribute: str, texts: list[str], key: str) -> None:
        """A list of texts that the default shell runs."""
        if not has_template(texts):
            self.constants[attribute] = texts
            return
        items: list[str | Command] = []
        for number, text in enumerate(texts):
            if has_template(text):
                command = self.compile_command(text, self._place(key, number), None)
                if command is None:
                    return
                items.append(command)
            else:
                items.append(text)
        commands = [item for item in items if isinstance(item, Command)]

        def render(scope: Scope) -> list[str]:
            return [
                item if isinstance(item, str) else item.run_by(None, for_command(scope, item.names))
                for item in items
            ]

        self.fields.append(Field(attribute, list(commands), render))

    def tree(self, attribute: str, value: Any, key: str, convert: Callable[[str], Any] = str) -> None:
        """A field of text, lists and maps at any depth, whose texts stay what they are."""
        if not has_template(value):
            self.constants[attribute] = value
            return
        templates: list[Template] = []
        compiled = self._compile_tree(value, key, templates)
        if compiled is not None:
            self.fields.append(
                Field(
                    attribute,
                    templates,
                    lambda scope: _render_tree(compiled, scope),
                    lambda scope, unkeyed: _key_tree(compiled, scope, unkeyed),
                )
            )

    def constant(self, attribute: str, value: Any, key: str, convert: Callable[[str], Any]) -> None:
        """A field that is taken as written."""
        self.constants[attribute] = value

    def condition(self, attribute: str, text: str | None) -> None:
        """Whether the step runs at all."""
        if text is None or not has_template(text):
            self.constants[attribute] = text is None or holds(text)
            return
        template = self.compile(text, attribute)
        if template is not None:
            self.fields.append(Field(attribute, [template], lambda scope: _holds(template, scope)))

    def extra(self) -> None:
        """The keys without fields of their own: together one field, a map of those that the step has."""
        inner = FieldCompiler(self.step, self.compile, self.compile_command)
        for name, value in self.step.extra.items():
            key = STEP_KEYS[name]
            _form(key)(inner, name, value, name, key.convert)
        constants, fields = inner.constants, inner.fields
        self.constants["extra"] = constants
        if not fields:
            return
        keys = {field.attribute: inner.as_keyed(field, self.step.extra[field.attribute]) for field in fields}
        self.fields.append(
            Field(
                "extra",
                [template for field in fields for template in field.templates],
                lambda scope: constants | {field.attribute: field.render(scope) for field in fields},
                lambda scope, unkeyed: constants | {name: key(scope, unkeyed) for name, key in keys.items()},
            )
        )

    def as_keyed(self, field: Field, value: Any) -> KeyForm:
        """How ``field``, written as ``value``, stands in the key: as rendered, unless it uses `resources`."""
        if field.key is not None:
            return field.key
        compiled = self._compile_tree(value, field.attribute, [])

        def key(scope: Scope, unkeyed: frozenset[str]) -> Any:
            from f0make.template.keyed import uses_resources

            if any(uses_resources(template, unkeyed) for template in field.templates):
                return _key_tree(compiled, scope, unkeyed)
            return field.render(scope)

        return key

    def _compile_tree(self, value: Any, key: str, templates: list[Template]) -> Any:
        """``value`` with Template for text that has one; None when any of them cannot be compiled."""
        if isinstance(value, str) and TEMPLATE_OPEN in value:
            template = self.compile(value, key)
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


def _key_tree(value: Any, scope: Scope, unkeyed: frozenset[str]) -> Any:
    """A tree as it stands in the key; at its top only those items that differ from what is rendered."""
    from f0make.template.keyed import key_text, uses_resources

    if isinstance(value, Template):
        if uses_resources(value, unkeyed):
            return key_text(value, [to_text] * len(value.pieces()), scope, unkeyed)
        return argument(value.value(scope))
    if isinstance(value, list):
        return [_key_tree(item, scope, unkeyed) for item in value]
    if isinstance(value, dict):
        return {name: _key_tree(item, scope, unkeyed) for name, item in value.items()}
    return value


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


def _form(key: Key) -> Callable[[FieldCompiler, str, Any, str, Callable[[str], Any]], None]:
    """What makes a field of a key of the recipe language, by its kind."""
    if key.render != LATE:
        return FieldCompiler.constant
    if key.listed:
        return FieldCompiler.texts
    return FieldCompiler.scalar if type(key.kind) is Scalar else FieldCompiler.tree


_PLAIN = [
    (name, _form(key), key.convert)
    for name, key in STEP_KEYS.items()
    if name in Instance.__slots__
    and key.render in (NEVER, LATE)
    and name not in ("name", "fingerprint", "when")
]
"""Keys whose fields on `Instance` have their names, and are made as their kinds say."""


def compile_late(step: Step, compile: Compile, compile_command: CompileCommand) -> FieldCompiler:
    """Everything that is rendered once inputs and outputs are known, or not at all."""
    made = FieldCompiler(step, compile, compile_command)
    made.command(step.shell)
    for name, form, convert in _PLAIN:
        form(made, name, getattr(step, name), name, convert)
    made.commands("fingerprint", step.fingerprint, "fingerprint")
    success = step.success
    made.scalar("not_empty", success.not_empty, "success.not_empty", scalars.to_bool)
    made.texts("ctx_has_keys", success.ctx_has_keys, "success.ctx_has_keys", str)
    made.texts("exit_codes", success.exit_codes or [0], "success.exit_codes", scalars.to_exit_code)
    made.condition("when", step.when)
    made.constants["extra"] = step.extra
    if step.extra:
        made.extra()
    return made


def _holds(template: Template, scope: Scope) -> bool:
    value = template.value(scope) if template.single else template.render(scope)
    return value is not None and holds(value if isinstance(value, str) else template.render(scope))


def compile_map(values: Mapping[str, Any], key: str, compile: Compile) -> dict[str, Any]:
    """A map (`env`, `resources`) with Template for each value that has one, "" for one that cannot be compiled."""
    out: dict[str, Any] = {}
    for name, value in values.items():
        if has_template(value):
            value = compile(value, f"{key}.{name}") or ""
        out[name] = value
    return out
