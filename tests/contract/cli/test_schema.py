"""`f0make schema` prints a JSON Schema that editors can go by: it accepts what f0make accepts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from f0make.cli.app import main
from f0make.errors import Problem
from f0make.recipe.finding import Finding
from f0make.recipe.schema import RECIPE
from f0make.recipe.validate import Checker
from f0make.recipe.yaml_reader import read
from tests.support.docs_examples import sections
from tests.support.f0 import F0
from tests.support.paths import CORPUS, PROJECT

BAD = sorted(CORPUS.rglob("*.yaml"))


def recipes() -> Iterator[tuple[str, str]]:
    """Every recipe that is shipped or shown: its name and text."""
    for path in sorted((PROJECT / "recipes").rglob("*.yaml")):
        yield str(path.relative_to(PROJECT)), path.read_text(encoding="utf-8")
    for page in [PROJECT / "README.md", *sorted((PROJECT / "docs").rglob("*.md"))]:
        try:
            found = sections(page.read_text(encoding="utf-8"))
        except ValueError:  # a page whose examples are not files
            continue
        for section in found:
            for file in section.files:
                if re.search(r"^steps:", file.text, re.M):
                    yield f"{page.name}: {file.path}", file.text


RECIPES = list(recipes())


def problems(text: str) -> list[Problem] | None:
    """What f0make's own validator says of a recipe's form; None where it is not even YAML."""
    findings: list[Finding] = []
    node = read(text, findings)
    if node is None or findings:
        return None
    found: list[Problem] = []
    Checker("", found).conform(node, RECIPE)
    return found


def typed(value: Any) -> Any:
    """What YAML 1.1 reads, in the types of JSON."""
    if isinstance(value, dict):
        return {str(key): typed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [typed(inner) for inner in value]
    return str(value) if isinstance(value, date) else value


def complaints(schema: Draft202012Validator, text: str) -> list[str]:
    """What ``schema`` says of a recipe, read by YAML with types and without."""
    found = []
    for document in (typed(yaml.safe_load(text)), yaml.load(text, yaml.BaseLoader)):
        found += [f"{list(e.absolute_path)}: {e.message:.200}" for e in schema.iter_errors(document)]
    return found


@pytest.fixture
def schema(capsys: pytest.CaptureFixture[str]) -> Draft202012Validator:
    assert main(["schema"]) == 0
    printed = json.loads(capsys.readouterr().out)
    Draft202012Validator.check_schema(printed)
    assert printed["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    return Draft202012Validator(printed)


def test_it_accepts_every_recipe_that_is_shipped_or_shown(schema: Draft202012Validator) -> None:
    assert len(RECIPES) > 40
    for name, text in RECIPES:
        if not problems(text):
            assert complaints(schema, text) == [], name


def test_it_accepts_what_the_schema_of_f0make_accepts_and_refuses_most_of_the_rest(
    schema: Draft202012Validator,
) -> None:
    refused = seen = 0
    for path in BAD:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found = problems(text)
        if found is None or "steps:" not in text:
            continue
        said = complaints(schema, text)
        if found:
            seen += 1
            refused += bool(said)
        else:
            assert said == [], path.name
    assert refused > 0.8 * seen > 50


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("rnu: x", "steps.0"),
        ("retries: often", "steps.0.retries"),
        ("retries: -1", "steps.0.retries"),
        ("type: bash", "steps.0.type"),
        ("cache: perhaps", "steps.0.cache"),
        ("resources:\n      mem: much", "steps.0.resources.mem"),
        ("module: a/b.py", "steps.0.module"),
        ("success:\n      exit_code: 1", "steps.0.success"),
    ],
)
def test_it_shows_mistakes_at_their_place(schema: Draft202012Validator, line: str, path: str) -> None:
    (error,) = schema.iter_errors(yaml.safe_load(f"steps:\n  - name: a\n    {line}\n"))
    assert ".".join(map(str, error.absolute_path)) == path


def test_it_needs_no_workspace_and_describes_each_key(f0: F0) -> None:
    result = f0("schema")
    assert result.code == 0 and not (f0.workspace / ".f0make").exists()
    step = json.loads(result.stdout)["$defs"]["step"]
    assert all(key["description"] for key in step["properties"].values())
