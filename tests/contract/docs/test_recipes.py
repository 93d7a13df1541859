"""The recipes that ship: they run, make what they promise, and have nothing to do the second time."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import PROJECT

BOOKS = ("alice", "emma", "moby")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace with the recipes, and with scriptlets of its own in place of the installed ones."""
    for name in ("recipes", "scriptlets"):
        shutil.copytree(PROJECT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def run(workspace: Path, recipe: str, *options: str) -> dict[str, int]:
    """Run ``recipe``; how many instances came to what."""
    done = subprocess.run(
        [sys.executable, "-m", "f0make", "run", f"recipes/{recipe}", "--json", "-j", "2", *options],
        cwd=workspace,
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert summary["event"] == "summary"
    names = ("ran", "restored", "current", "failed", "skipped", "cancelled")
    return {name: summary[name] for name in names if summary[name]}


def test_hello_world(workspace: Path) -> None:
    assert run(workspace, "hello_world.yaml") == {"ran": 1}
    assert run(workspace, "hello_world.yaml") == {"current": 1}


def test_penguins(workspace: Path) -> None:
    assert run(workspace, "penguins/penguins.yaml") == {"ran": 9}
    build = workspace / "build/penguins"
    census = (build / "census.csv").read_text(encoding="utf-8").splitlines()
    assert census[0] == "island,species,penguins"
    assert sum(int(line.rpartition(",")[2]) for line in census[1:]) == 333
    summary = (build / "summary.csv").read_text(encoding="utf-8").splitlines()
    assert len(summary) == 13
    assert "Gentoo,body_mass_g,119,5092.44,501.48,3950.00,5050.00,6300.00" in summary
    page = (build / "index.html").read_text(encoding="utf-8")
    assert "a measure is missing: 11<" in page
    assert page.count("<circle") == 2 * (333 + 3)
    assert run(workspace, "penguins/penguins.yaml") == {"current": 9}

    chart = workspace / "scriptlets/steps/scatter_chart.py"
    source = chart.read_text(encoding="utf-8")
    chart.write_text(source + "\n\n# nothing new\n", encoding="utf-8")
    assert run(workspace, "penguins/penguins.yaml") == {"current": 9}
    chart.write_text(source.replace("#0072b2", "#0072b3"), encoding="utf-8")
    assert run(workspace, "penguins/penguins.yaml") == {"ran": 3, "current": 6}


@pytest.mark.skipif(not shutil.which("cc"), reason="there is no C compiler")
def test_cbuild(workspace: Path) -> None:
    table = workspace / "recipes/cbuild/units.tsv"
    before = table.read_text(encoding="utf-8")
    units = len(before.splitlines()) - 1
    everything = units + 8
    assert run(workspace, "cbuild/cbuild.yaml") == {"ran": everything}
    report = (workspace / "build/cbuild/selftest.txt").read_text(encoding="utf-8")
    assert "FAIL" not in report
    converted = subprocess.run(
        ["build/cbuild/convert", "3", "mile", "metre"], cwd=workspace, capture_output=True, check=True
    )
    assert converted.stdout == b"4828.032\n"
    assert run(workspace, "cbuild/cbuild.yaml") == {"current": everything}

    table.write_text(before + "furlong\tlength\t201.168\n", encoding="utf-8")
    assert run(workspace, "cbuild/cbuild.yaml") == {"ran": 9, "current": units}
    assert "furlong" in (workspace / "build/cbuild/manual.txt").read_text(encoding="utf-8")
    table.write_text(before, encoding="utf-8")
    assert "ran" not in run(workspace, "cbuild/cbuild.yaml")
    assert "furlong" not in (workspace / "build/cbuild/manual.txt").read_text(encoding="utf-8")

    header = workspace / "recipes/cbuild/src/selftest.h"
    header.write_text(header.read_text(encoding="utf-8") + "\n/* one more line */\n", encoding="utf-8")
    assert run(workspace, "cbuild/cbuild.yaml") == {"ran": 2, "current": everything - 2}


def test_texts(workspace: Path) -> None:
    assert run(workspace, "texts/texts.yaml") == {"ran": 22, "skipped": 1}
    build = workspace / "build/texts"
    report = (build / "report.txt").read_text(encoding="utf-8")
    assert report.startswith("alice: 118 words\n    5  rabbit\n")
    lengths = (build / "paragraphs.tsv").read_text(encoding="utf-8").splitlines()
    assert lengths[0] == "moby\t001\t198"
    assert len(lengths) == 10
    for book in BOOKS:
        assert (build / f"counts/{book}.tsv").exists()
        assert not (build / f"words/{book}.txt").exists()
    assert run(workspace, "texts/texts.yaml") == {"current": 22, "skipped": 1}
    assert run(workspace, "texts/texts.yaml", "--set", "top=1", "--set", "publish=yes") == {
        "ran": 2,
        "current": 21,
    }
    assert (build / "report.txt").read_text(encoding="utf-8").count("\n") == 6

    stopwords = workspace / "recipes/texts/stopwords.txt"
    stopwords.write_text(stopwords.read_text(encoding="utf-8") + "rabbit\n", encoding="utf-8")
    assert run(workspace, "texts/texts.yaml")["ran"] == 5
    assert "rabbit" not in (build / "report.txt").read_text(encoding="utf-8")
