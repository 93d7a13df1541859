"""Bad recipes through the command line: true places, exit code 2, no traceback, nothing executed or left."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from f0make.cli.app import main
from tests.support.paths import CORPUS
from tests.unit.recipe.test_bad import EXPECTED

GRAPH = CORPUS / "graph"


def graph_expected() -> dict[str, list[tuple[str, str]]]:
    """Recipe -> (place, fragment) of each of its problems."""
    rows: dict[str, list[tuple[str, str]]] = {}
    for line in (GRAPH / "expected.tsv").read_text(encoding="utf-8").splitlines():
        recipe, place, fragment = line.split("\t")
        rows.setdefault(recipe, []).append((place, fragment))
    return rows


GRAPH_EXPECTED = graph_expected()


def tree(place: Path) -> set[str]:
    """Everything outside f0make's own state."""
    return {
        str(path.relative_to(place))
        for path in place.rglob("*")
        if ".f0make" not in path.relative_to(place).parts
    }


def refused(recipe: str, place: Path, verb: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines that ``verb`` says about ``recipe`` when it refuses it as it must."""
    before, here = tree(place), Path.cwd()
    os.chdir(place)
    try:
        code = main([verb, recipe])
    finally:
        os.chdir(here)
    said = capsys.readouterr()
    assert code == 2, said.err
    assert "Traceback" not in said.err and said.out == ""
    assert tree(place) == before
    return said.err.splitlines()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the corpus, to be run in."""
    place = tmp_path_factory.mktemp("bad") / "corpus"
    shutil.copytree(CORPUS, place)
    return place


@pytest.mark.parametrize("recipe", sorted(EXPECTED))
def test_schema(recipe: str, corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = refused(recipe, corpus, "run", capsys)
    for row in EXPECTED[recipe]:
        place = row.split("\t")[0]
        assert any(line.startswith(f"{place}: ") for line in lines), (place, lines)


@pytest.mark.parametrize("verb", ["run", "validate", "plan"])
@pytest.mark.parametrize("recipe", sorted(GRAPH_EXPECTED))
def test_graph(recipe: str, verb: str, corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = refused(recipe, corpus / "graph", verb, capsys)
    for place, fragment in GRAPH_EXPECTED[recipe]:
        assert any(line.startswith(f"{place}:") and fragment in line for line in lines), (
            place,
            fragment,
            lines,
        )
