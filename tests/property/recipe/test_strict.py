"""Our validator and strictyaml, built from one schema, agree on what a recipe may be."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import pytest
import strictyaml
from hypothesis import given
from hypothesis import strategies as st

from f0make.errors import Problem
from f0make.recipe import load_recipe, strictyaml_schema
from f0make.recipe.finding import Finding
from f0make.recipe.kinds import Fields, Kind, Many, Mapped, OneOf, Scalar
from f0make.recipe.load_recipe import load_with_problems
from f0make.recipe.schema import RECIPE, STEP
from f0make.recipe.strictyaml_check import MOST_STEPS
from f0make.recipe.strictyaml_schema import refusal, strict_schema
from f0make.recipe.validate import Checker
from f0make.recipe.yaml_reader import read
from tests.support.examples import examples
from tests.support.paths import CORPUS

WORDS = ["x", "yes", "no", "3", "-1", "0", "10s", "5m", "2GB", "1.5", "80%", "a b", "shell", "python", "zip", "product",
         "pkg.mod", "f", "FRA", "50g", "0.2kWh", "1..3", "${{ config.x }}", "n", "out/x.txt", "sh -eu"]  # fmt: skip


def text_for(rng: random.Random, kind: Scalar) -> str:
    """A text that ``kind`` accepts, mostly."""
    words = list(WORDS)
    rng.shuffle(words)
    if rng.random() < 0.9:
        for word in words:
            problems: list[Problem] = []
            from f0make.recipe.yaml_node import Text

            Checker("", problems).conform(Text(word), kind)
            if not problems:
                return word
    return words[0]


def write(rng: random.Random, kind: Kind, indent: str, name: str = "") -> str:
    """``kind`` as the YAML that follows a key or a dash; now and then of another shape."""
    if rng.random() < 0.03:
        return rng.choice([" x\n", f"\n{indent}- x\n", f"\n{indent}x: y\n"])
    if isinstance(kind, Scalar):
        return f" {text_for(rng, kind)}\n"
    if isinstance(kind, Many):
        return "\n" + "".join(
            f"{indent}-{write(rng, kind.item, indent + '  ')}" for _ in range(rng.randint(1, 3))
        )
    if isinstance(kind, Mapped):
        names = rng.sample(["n", "m", "cpu", "mem"] if kind.named else ["n", "m", "o"], rng.randint(1, 2))
        return "\n" + "".join(
            f"{indent}{key}:{write(rng, kind.named.get(key, kind.value), indent + '  ')}" for key in names
        )
    if isinstance(kind, Fields):
        chosen = [key for key in kind.fields if key in kind.required or rng.random() < 0.3]
        if rng.random() < 0.03:
            chosen.append("unknown")
        if rng.random() < 0.03 and len(chosen) > 1:
            chosen.pop(0)
        chosen = chosen or [next(iter(kind.fields))]
        return "\n" + "".join(
            f"{indent}{key}:{write(rng, kind.fields.get(key, STEP.fields['when']), indent + '  ')}"
            for key in chosen
        )
    if isinstance(kind, OneOf):
        return write(rng, rng.choice([k for k in (kind.text, kind.items, kind.entries) if k]), indent, name)
    return rng.choice(
        [" x\n", f"\n{indent}- x\n{indent}- y\n", f"\n{indent}x: y\n{indent}z:\n{indent}  - w\n"]
    )


def ours(text: str, kind: Kind) -> tuple[Any, list[Problem]]:
    findings: list[Finding] = []
    node = read(text, findings)
    assert node is not None and not findings, (text, findings)
    problems: list[Problem] = []
    value = Checker("", problems).conform(node, kind)
    return value, problems


@examples(150)
@given(st.integers(0, 2**32))
def test_validator_and_strictyaml_agree(seed: int) -> None:
    rng = random.Random(seed)
    text = write(rng, RECIPE, "")[1:]
    if not text[:1].isalpha() or text == "x\n":
        return
    value, problems = ours(text, RECIPE)
    try:
        theirs = strictyaml.load(text, strict_schema(RECIPE)).data
    except strictyaml.YAMLError:
        theirs = None
    # amounts of resources go by their name, which strictyaml's schema cannot see
    if any("resources" in problem.key for problem in problems):
        return
    assert (theirs is None) == bool(problems), (text, problems)
    if theirs is not None:
        assert without_resources(theirs) == without_resources(value)


def without_resources(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_resources(item) for key, item in value.items() if key != "resources"}
    return [without_resources(item) for item in value] if isinstance(value, list) else value


def test_whatever_we_accept_of_the_bad_recipes_schema_strictyaml_accepts_too() -> None:
    compared = 0
    for path in sorted(CORPUS.glob("[c-z]*.yaml")):
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        findings: list[Finding] = []
        node = read(text, findings)
        if node is None or findings:
            continue
        problems: list[Problem] = []
        Checker("", problems).conform(node, RECIPE)
        if not problems and "steps" in text:
            compared += 1
            assert refusal(text, RECIPE) is None, path.name
    assert compared > 50


def test_strictyaml_has_the_last_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it refuses what our reader and validator accepted, its complaint is the error."""
    (tmp_path / "r.yaml").write_text(
        "steps:\n  - name: a\n    run: x\n  - name: b\n    run: y\n", encoding="utf-8"
    )

    def narrow(kind: Kind) -> Any:
        return (
            strictyaml.Any()
            if kind is not load_step_list()
            else strictyaml.Seq(strictyaml.Map({"name": strictyaml.Enum(["a"]), "run": strictyaml.Str()}))
        )

    monkeypatch.setattr(strictyaml_schema, "strict_schema", narrow)
    _, (problem,) = load_with_problems("r.yaml", str(tmp_path))
    assert str(problem.where) == "r.yaml:4:1" and problem.key == "b"
    assert problem.message.startswith("strictyaml refuses this: when expecting one of: a")


def load_step_list() -> Kind:
    return RECIPE.fields["steps"]


@pytest.mark.parametrize("steps", [MOST_STEPS, MOST_STEPS + 1])
def test_strictyaml_is_asked_about_small_recipes_only(tmp_path: Path, steps: int) -> None:
    import subprocess

    text = "steps:\n" + "".join(f"  - name: s{n}\n    run: x\n" for n in range(steps))
    (tmp_path / "r.yaml").write_text(text, encoding="utf-8")
    code = (
        "import sys; from f0make.recipe.load_recipe import load_recipe; load_recipe('r.yaml', sys.argv[1]);"
        "print('strictyaml' in sys.modules)"
    )
    root = Path(load_recipe.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(steps <= MOST_STEPS)


def test_a_crash_of_strictyaml_is_no_verdict() -> None:
    """It raises NotImplementedError ("overlap in comment") for some lists with empty items and comments."""
    text = "- a\n-\n  -  #b\n  -  #b\n  - c: d\n    e: f\n"
    with pytest.raises(NotImplementedError):
        strictyaml.load(text)
    assert refusal(text, Many(OneOf("", Scalar("", empty=True)))) is None
