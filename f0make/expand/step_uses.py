"""Which names the texts of a step use: which stage needs which, and which fields differ between instances."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from f0make.expand.fields import Field, has_template
from f0make.template.render_text import Template


class StepUses:
    """What follows from the names in the templates of a step, worked out once."""

    def __init__(
        self,
        own: Iterable[str],
        foreach: str,
        env: Mapping[str, object],
        resources: Mapping[str, object],
        inputs: Iterable[object],
        outputs: Iterable[object],
        late: Sequence[Field],
    ) -> None:
        """``own``: the step's variables; ``foreach``: its values as text; the rest: its compiled texts by stage."""
        env_names, resource_names = _names(env.values()), _names(resources.values())
        own = {*own, "step"}
        self.resources_first = "resources" in env_names
        self.env_varies = bool(env_names & own) or ("resources" in env_names and bool(resource_names & own))
        self.resources_vary = bool(resource_names & own) or ("env" in resource_names and self.env_varies)
        self.early_names = env_names | resource_names
        self.input_names = _names(inputs)
        self.output_names = _names(outputs)
        self.inputs_first = "inputs" in self.output_names
        varying = {*own, "inputs", "outputs"}
        if self.env_varies:
            varying.add("env")
        if self.resources_vary:
            varying.add("resources")
        self.varying = [f for f in late if f.names & varying]
        self.shared = [f for f in late if not f.names & varying]
        self.late_names: frozenset[str] = frozenset().union(*(f.names for f in late))
        """What the fields that are rendered last use."""
        templated = has_template(foreach)
        self.foreach_names_env = templated and "env" in foreach
        self.asks_steps = "steps" in (self.early_names | self.input_names | self.output_names) or (
            templated and "steps" in foreach
        )
        """Whether the instances depend on those of other steps by `steps.NAME`."""
        self.unkeyed = _unkeyed(env, self.early_names)
        """Variables of `env` whose values come from `resources`, which are no part of the key."""
        touched = {"resources", "env"} if self.unkeyed else {"resources"}
        self.keyed = [f for f in late if f.key is not None and f.names & touched]
        """Fields that may stand in the key in another way than they are rendered."""
        self.uses_step = "step" in (self.early_names | self.input_names | self.output_names | self.late_names)


def _unkeyed(env: Mapping[str, object], early: frozenset[str]) -> frozenset[str]:
    templates = {name: value for name, value in env.items() if isinstance(value, Template)}
    if "resources" not in early or not templates:
        return frozenset()
    from f0make.template.keyed import uses_resources

    found: frozenset[str] = frozenset()
    while True:
        more = frozenset(name for name, value in templates.items() if uses_resources(value, found))
        if more == found:
            return found
        found = more


def _names(values: Iterable[object]) -> frozenset[str]:
    return frozenset().union(*(v.names for v in values if isinstance(v, Template)))
