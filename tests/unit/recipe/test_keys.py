"""The table of keys says of those that have typed fields what the code does with them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from f0make.engine.attempt_records import bundle_of
from f0make.fast_dataclass import fields
from f0make.model import Instance, Step
from f0make.plan.key import declared_parts, key_of
from f0make.recipe.keys import NEVER, STEP_KEYS
from f0make.recipe.kinds import Fields, Kind, Many, Mapped, OneOf, Scalar
from f0make.recipe.top_keys import RECIPE_KEYS
from f0make.worker.bundle import Bundle
from tests.support.expand_world import World

SHELL = """\
name: a
type: shell
run: echo ${{ attempt }}
shell: sh -e
env:
  A: "1"
resources:
  cpu: 1
inputs:
  x: in.txt
outputs:
  y: out.txt
fingerprint: cc --version
depfile: out.d
success:
  exit_codes: 0
retries: 1
retry_delay: 1s
timeout: 1m
priority: 1
runs_on: here
when: yes
cache: yes
always: no
any_platform: no
idx: 1
description: first
combine: product
depends_on: other
foreach:
  n:
    - 1
allow:
  read: /a
secrets: S
"""
PYTHON = """\
name: a
type: python
module: m
function: f
python: python3
args:
  arg: 1
outputs: out.txt
"""
CHANGES = {
    "name": ("name: a", "name: b"),
    "idx": ("idx: 1", "idx: 2"),
    "description": ("description: first", "description: second"),
    "type": ("type: shell\nrun:", "run:"),
    "run": ("echo", "printf"),
    "module": ("module: m", "module: n"),
    "function": ("function: f", "function: g"),
    "args": ("arg: 1", "arg: 2"),
    "inputs": ("in.txt", "in2.txt"),
    "outputs": ("out.txt", "out2.txt"),
    "depends_on": ("depends_on: other", "depends_on: third"),
    "foreach": ("- 1", "- 2"),
    "combine": ("combine: product", "combine: zip"),
    "resources": ("cpu: 1", "cpu: 2"),
    "retries": ("retries: 1", "retries: 2"),
    "retry_delay": ("retry_delay: 1s", "retry_delay: 2s"),
    "timeout": ("timeout: 1m", "timeout: 2m"),
    "env": ('A: "1"', 'A: "2"'),
    "cache": ("cache: yes", "cache: no"),
    "runs_on": ("runs_on: here", "runs_on: there"),
    "shell": ("shell: sh -e", "shell: sh -eu"),
    "python": ("python: python3", "python: python3.12"),
    "priority": ("priority: 1", "priority: 2"),
    "fingerprint": ("cc --version", "cc -v"),
    "depfile": ("out.d", "out2.d"),
    "success": ("exit_codes: 0", "exit_codes: 1"),
    "when": ("when: yes", "when: no"),
    "always": ("always: no", "always: yes"),
    "secrets": ("secrets: S", "secrets: T"),
    "any_platform": ("any_platform: no", "any_platform: yes"),
    "allow": ("read: /a", "read: /b"),
}
"""Key -> what stands in one of the two steps for it, and what stands there instead."""

FILLED_LATER = {"allow", "python", "secrets"}
"""Keys whose fields of a bundle are filled where it is sent: they hold what is found on the way there."""


def instance_of(step: str, root: Path) -> Instance:
    """The instance of ``step``, made by a recipe with two more steps."""
    world = World(root)
    world.files("in.txt", "in2.txt")
    others = "  - name: other\n    run: x\n  - name: third\n    run: x\n"
    text = textwrap.indent(step, "    ").replace("    ", "  - ", 1)
    found = world.good(f"secrets:\n  - S\n  - T\nsteps:\n{others}{text}")
    return found.instances[-1]


def parts_of(instance: Instance) -> dict[str, Any]:
    """Its parts of a key, inputs and secrets included."""
    parts = declared_parts(instance, "code", ["gcc 12"] * len(instance.fingerprint))
    secrets = {f"secret.{name}": "digest" for name in instance.step.secrets}
    return {**parts, **secrets, "inputs": instance.inputs}


def sent(instance: Instance) -> Bundle:
    return bundle_of(
        instance,
        token="t",
        attempt=1,
        workspace="/w",
        store=None,
        log="l",
        scratch="s",
        context={},
        foreign_keys={},
    )


def differing(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}


def values(thing: Any) -> dict[str, Any]:
    return {field.name: getattr(thing, field.name) for field in fields(thing)}


@pytest.mark.parametrize("name", STEP_KEYS)
def test_what_a_key_changes_is_what_the_table_says(name: str, tmp_path: Path) -> None:
    key = STEP_KEYS[name]
    before, after = CHANGES[name]
    step = SHELL if before in SHELL else PYTHON
    assert before in step
    old, new = (instance_of(text, tmp_path) for text in (step, step.replace(before, after)))

    parts = differing(parts_of(old), parts_of(new))
    if name == "name":  # a part only of those without outputs
        assert parts == set()
        bare = [instance_of(f"name: {called}\nrun: x\n", tmp_path) for called in "ab"]
        parts = differing(*map(parts_of, bare))
    assert bool(parts) == bool(key.part), parts
    assert all(part.startswith(key.part) for part in parts)

    found = differing(values(sent(old)), values(sent(new)))
    named = set(key.bundle.split())
    assert named <= values(sent(old)).keys()
    if name == "type":
        found = differing(values(sent(instance_of(PYTHON, tmp_path))), values(sent(old))) & {"kind"}
    if name not in FILLED_LATER:
        assert found <= named and bool(found) == bool(named), found

    assert new.step.value(name) != old.step.value(name) or name == "type"


def test_fields_of_steps_are_keys_with_the_same_defaults() -> None:
    own = {"file", "marks", "extra"}
    assert {field.name for field in fields(Step)} - own == set(STEP_KEYS)
    step = Step("", "", {})
    assert {name: step.value(name) for name in STEP_KEYS} == {
        name: key.default for name, key in STEP_KEYS.items()
    }


def scalars_of(kind: Kind | None) -> Iterator[Scalar]:
    """Every kind of text in ``kind``."""
    if isinstance(kind, Scalar):
        yield kind
    elif isinstance(kind, Many):
        yield from scalars_of(kind.item)
    elif isinstance(kind, Mapped):
        yield from scalars_of(kind.value)
    elif isinstance(kind, Fields):
        for inner in kind.fields.values():
            yield from scalars_of(inner)
    elif isinstance(kind, OneOf):
        for part in (kind.text, kind.items, kind.entries):
            yield from scalars_of(part)


@pytest.mark.parametrize("name", sorted(STEP_KEYS.keys() - {"args", "description"}))
def test_templates_may_stand_where_they_are_rendered(name: str) -> None:
    """`args` are trees of anything; what stands in a `description` is shown as written."""
    key = STEP_KEYS[name]
    allowed = [scalar.template for scalar in scalars_of(key.kind)]
    assert any(allowed) if key.render != NEVER else not any(allowed)


def test_top_level_keys_for_steps_are_keys_of_steps() -> None:
    assert [name for name, key in RECIPE_KEYS.items() if key.for_steps] == ["env", "shell", "python"]
    assert {name for name, key in RECIPE_KEYS.items() if key.for_steps} <= STEP_KEYS.keys()


def test_keys_of_records_that_exist_still_hold(tmp_path: Path) -> None:
    """Another digest here runs everything that was ever run once more: raise KEY_VERSION and say so."""
    tokens = {"in.txt": "0" * 64}
    found = [
        key_of(parts, tokens)
        for step in (SHELL, PYTHON, "name: a\nrun: x\n")
        for instance in [instance_of(step, tmp_path)]
        for parts in [declared_parts(instance, "code", ["gcc 12"] * len(instance.fingerprint))]
    ]
    assert found == [
        "853ce82a0f8a5a91bf7c6881a304cfe31fe8f94fbf18f093f77aafc39e377e62",
        "86420f080fa8c0d8cf7369c21ec8ebca1c30e28f5b1e63419430df0b75a1bef1",
        "15ed0d5aff070456f11724fd4d5a48a6c7eceb3cc23e5568d2200ebd9f966a78",
    ]
