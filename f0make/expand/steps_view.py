"""`steps` as templates see it: `steps.NAME.outputs`, `steps.NAME(lang='en').outputs`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from f0make.fast_dataclass import Protocol
from f0make.model import Instance
from f0make.template.template_values import NamedPaths, OnePath, PathList, path_for_command, to_texts
from f0make.template.value_access import Missing, suggestion

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Answers(Protocol):
    """A source of the instances of every step."""

    def is_pattern(self, name: str) -> bool:
        """Whether the step ``name`` is a pattern step."""
        ...

    def ask(
        self, name: str, stage: str, wanted: Mapping[str, Sequence[str]] | None = None
    ) -> Sequence[Instance]:
        """The instances of a step, that ``stage`` of them done; of a pattern step those with the ``wanted`` values.

        Raises NeedsStage, IsPending, Broken and Missing.
        """
        ...

    def whole(self, name: str, stage: str, instances: Sequence[Instance]) -> None:
        """Raise Broken where ``stage`` of one of these ``instances`` of step ``name`` could not be rendered."""
        ...


class StepsView:
    """All steps by name."""

    template_no_text = "`steps` is not a value: write `steps.NAME.outputs`"

    def __init__(self, names: Sequence[str], answers: Answers) -> None:
        self._names = frozenset(names)
        self._answers = answers
        self._views: dict[str, StepView] = {}
        self._commands: StepsView | None = None
        self._convert: Callable[[PathList], PathList] | None = None

    def for_commands(self) -> StepsView:
        """The same with paths as commands get them."""
        if self._commands is None:
            self._commands = StepsView(list(self._names), self._answers)
            self._commands._convert = paths_for_command
        return self._commands

    def template_get(self, name: str) -> StepView:
        """The view of one step. Raises Missing."""
        if name not in self._names:
            raise Missing(f"no step is called `{name}`", suggestion(name, self._names))
        if name not in self._views:
            self._views[name] = StepView(name, self._answers, self._convert)
        return self._views[name]

    def forget(self, name: str) -> None:
        """Drop what was gathered of a step: its instances have changed."""
        self._views.pop(name, None)
        if self._commands is not None:
            self._commands.forget(name)


class StepView:
    """One step, all its instances in the order of the foreach or some of them."""

    def __init__(self, name: str, answers: Answers, convert: Callable[[PathList], PathList] | None) -> None:
        self.name = name
        self._convert = convert
        self.template_no_text = f"`steps.{name}` is not a value: write `steps.{name}.outputs`"
        self._answers = answers
        self._all: dict[str, PathList] = {}
        self._index: dict[tuple[str, ...], dict[tuple[str, ...], list[Instance]]] = {}

    def template_get(self, attribute: str) -> Any:
        """`outputs`, `inputs` or `name`. Raises Missing."""
        if attribute == "name":
            return self.name
        if attribute not in ("outputs", "inputs"):
            raise Missing(
                f"`{attribute}` is not defined for a step", suggestion(attribute, ("outputs", "inputs"))
            )
        instances = self._answers.ask(self.name, attribute)
        if attribute not in self._all:
            self._answers.whole(self.name, attribute, instances)
            self._all[attribute] = self.gather(instances, attribute)
        return self._all[attribute]

    def gather(self, instances: Sequence[Instance], attribute: str) -> PathList:
        """The paths of ``instances``, as they are wanted here."""
        paths = gather(instances, attribute)
        return paths if self._convert is None else self._convert(paths)

    def template_call(self, *values: Any, **wanted: Any) -> Narrowed:
        """Those instances whose variables have these values (one, or any of a list). Raises Missing."""
        if values or not wanted:
            raise Missing(f"name the variables, as in `steps.{self.name}(lang='en')`")
        return Narrowed(self, {name: to_texts(value) for name, value in wanted.items()})

    def select(self, wanted: dict[str, list[str]], stage: str) -> list[Instance]:
        """The instances in order whose variables have one of the ``wanted`` values. Raises Missing."""
        instances = self._answers.ask(self.name, stage, wanted)
        if self._answers.is_pattern(self.name):
            return list(instances)
        names = tuple(wanted)
        if names not in self._index:
            self._index[names] = self._index_by(names, instances)
        index = self._index[names]
        if all(len(texts) == 1 for texts in wanted.values()):
            found = index.get(tuple(texts[0] for texts in wanted.values()), [])
        else:
            found = [i for i in instances if all(str(i.variables.get(n)) in wanted[n] for n in names)]
        if not found:
            shown = ", ".join(f"{name}={'|'.join(texts)!r}" for name, texts in wanted.items())
            raise Missing(f"no instance of step `{self.name}` has {shown}")
        self._answers.whole(self.name, stage, found)
        return found

    def _index_by(
        self, names: tuple[str, ...], instances: Sequence[Instance]
    ) -> dict[tuple[str, ...], list[Instance]]:
        index: dict[tuple[str, ...], list[Instance]] = {}
        for instance in instances:
            for name in names:
                if name not in instance.variables:
                    raise Missing(
                        f"step `{self.name}` has no variable `{name}`", suggestion(name, instance.variables)
                    )
            index.setdefault(tuple(str(instance.variables[n]) for n in names), []).append(instance)
        return index


class Narrowed:
    """Some instances of a step."""

    def __init__(self, view: StepView, wanted: dict[str, list[str]]) -> None:
        self._view = view
        self._wanted = wanted
        self.template_no_text = f"`steps.{view.name}(…)` is not a value: write `steps.{view.name}(…).outputs`"

    def template_get(self, attribute: str) -> PathList:
        """`outputs` or `inputs`. Raises Missing."""
        if attribute not in ("outputs", "inputs"):
            raise Missing(
                f"`{attribute}` is not defined for a step", suggestion(attribute, ("outputs", "inputs"))
            )
        return self._view.gather(self._view.select(self._wanted, attribute), attribute)


def gather(instances: Sequence[Instance], attribute: str) -> PathList:
    """The paths of all ``instances``; those declared under names can be had by name too."""
    named: dict[str, list[str]] = {}
    paths: list[str] = []
    for instance in instances:
        paths += paths_of(instance, attribute)
        for name, value in (
            instance.named_outputs if attribute == "outputs" else instance.named_inputs
        ).items():
            named.setdefault(name, []).extend([value] if isinstance(value, str) else value)
    if named:
        return NamedPaths(paths, dict(named))
    return PathList(paths)


def paths_of(instance: Instance, attribute: str) -> list[str]:
    """`inputs` or `outputs` of one instance as plain paths."""
    return [output.path for output in instance.outputs] if attribute == "outputs" else instance.inputs


def own_paths(instance: Instance, attribute: str) -> list[str]:
    """`inputs` or `outputs` as the instance's own templates see them."""
    paths = paths_of(instance, attribute)
    named = instance.named_outputs if attribute == "outputs" else instance.named_inputs
    if named:
        return NamedPaths(paths, named)
    declared = instance.step.outputs if attribute == "outputs" else instance.step.inputs
    if len(declared) == 1 and len(paths) == 1 and declared[0].key in (attribute, f"{attribute}.path"):
        return OnePath(paths)
    return paths


def for_command(scope: Mapping[str, Any], names: frozenset[str]) -> Mapping[str, Any]:
    """``scope`` for a text that a shell runs and that uses ``names``: no path begins with `-`."""
    changed: dict[str, Any] = {}
    for name in ("inputs", "outputs"):
        if name in names and isinstance(paths := scope.get(name), list) and _dashed(paths):
            changed[name] = paths_for_command(paths)
    if "steps" in names and isinstance(steps := scope.get("steps"), StepsView):
        changed["steps"] = steps.for_commands()
    return {**scope, **changed} if changed else scope


def _dashed(paths: Sequence[str]) -> bool:
    for path in paths:  # noqa: SIM110 - quicker than any(), and every instance comes this way
        if path[:1] == "-" or "/-" in path:
            return True
    return False


def paths_for_command(paths: list[str]) -> PathList:
    """``paths``, of any kind of list, as commands get them."""
    found = list(map(path_for_command, paths))
    if isinstance(paths, NamedPaths):
        named = {
            name: path_for_command(value) if isinstance(value, str) else list(map(path_for_command, value))
            for name, value in paths.named.items()
        }
        return NamedPaths(found, named)
    return OnePath(found) if isinstance(paths, OnePath) else PathList(found)
