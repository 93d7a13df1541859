"""A recipe is input, not trusted code, until a step runs; its templates stay in their sandbox."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.contract_tools import Traced
from tests.support.f0 import F0


@pytest.fixture
def traced(f0: F0) -> Traced:
    """An empty workspace."""
    return Traced(f0.workspace)


# A recipe is not trusted code until a step runs.

HOSTILE = """\
config:
  text: $(touch executed-config)
steps:
  - name: shell
    outputs: a.txt
    fingerprint:
      - touch executed-fingerprint
      - echo $(touch executed-too)
    env:
      X: $(touch executed-env)
    when: ${{ config.text }}
    run: touch executed-run a.txt
  - name: python
    module: hostile
    function: main
    args:
      number: 3
    inputs: a.txt
"""


def test_only_a_run_executes_anything(traced: Traced) -> None:
    traced.recipe(HOSTILE)
    traced.write(
        "hostile.py", "open('executed-import', 'w')\nimport sys\n\n\ndef main(number: int):\n    pass\n"
    )
    traced.write("sitecustomize.py", "open('executed-site', 'w')\n")
    for args in (
        ("validate", "recipe.yaml"),
        ("plan", "recipe.yaml"),
        ("plan", "recipe.yaml", "--json"),
        ("why", "recipe.yaml", "shell"),
        ("why", "recipe.yaml", "python"),
        ("graph", "recipe.yaml"),
        ("graph", "recipe.yaml", "--steps", "--mermaid"),
        ("list", "recipe.yaml"),
        ("run", "recipe.yaml", "-n"),
    ):
        result = traced(*args)
        assert result.code == 0, (args, result.stderr)
        assert not [n for n in os.listdir(traced.workspace) if n.startswith("executed")], args
    plan = traced("plan", "recipe.yaml")
    assert "fingerprint" in plan.stdout + plan.stderr


@pytest.mark.parametrize(
    "expression",
    [
        "().__class__.__bases__[0].__subclasses__()",
        "config.__class__.__mro__",
        "''.__class__",
        "config.items.__func__.__globals__",
        "cycler.__init__.__globals__.os.popen('touch executed').read()",
        "self.__init__.__globals__",
        "lipsum.__globals__['os'].system('touch executed')",
        "namespace.__init__.__globals__",
        "joiner.__init__.__globals__.os",
        "'%s' | format(config.__class__)",
        "'{0.__class__}'.format(config)",
        "inputs.__reduce__()",
    ],
)
def test_templates_cannot_leave_their_sandbox(traced: Traced, expression: str) -> None:
    traced.recipe(
        f"steps:\n  - name: a\n    outputs: a.txt\n    run: |\n      echo ${{{{ {expression} }}}} > a.txt\n"
    )
    result = traced("validate", "recipe.yaml")
    assert result.code == 2 and "recipe.yaml:5" in result.stderr, result
    assert not traced.exists("executed")


@pytest.mark.parametrize(
    "expression",
    ["'x' * 10**10", "range(10**9) | list | length", "[0] * 10**9", "10 ** 10 ** 8", "'a' | center(10**10)"],
)
def test_templates_are_limited_in_time_and_memory(traced: Traced, expression: str) -> None:
    traced.recipe(f"steps:\n  - name: a\n    run: |\n      echo ${{{{ {expression} }}}}\n")
    result = traced("validate", "recipe.yaml", timeout=20)
    assert result.code == 2 and "recipe.yaml:4" in result.stderr, result
    assert Path(traced.workspace, "recipe.yaml").exists()
