"""Parts of instances, patterns and files as targets, and for `--only`, `--skip`, `--force`, `plan` and `why`."""

from __future__ import annotations

import subprocess

import pytest

from tests.support.contract_tools import Traced
from tests.support.f0 import F0, command

GRID = """\
steps:
  - name: train
    foreach:
      n:
        - 1
        - 10
      lr:
        - 0.1
        - 0.01
        - a*b
    outputs: models/${{ n }}/${{ lr }}.txt
    run: echo ${{ n }} ${{ lr }} > ${{ outputs }}
  - name: trace
    outputs: trace.txt
    run: echo > trace.txt
  - name: report
    inputs: ${{ steps.train.outputs }}
    outputs: report.txt
    run: cat ${{ inputs }} > report.txt
"""
ALL = [f"train[n={n},lr={lr}]" for n in ("1", "10") for lr in ("0.1", "0.01", "a*b")]


@pytest.fixture
def grid(f0: F0) -> Traced:
    """A workspace with `GRID`."""
    traced = Traced(f0.workspace)
    traced.recipe(GRID)
    return traced


@pytest.mark.parametrize(
    ("word", "chosen"),
    [
        ("train[n=10]", ALL[3:]),
        ("train[lr=0.1]", ALL[0::3]),
        ("train[lr=0.01,n=1]", ["train[n=1,lr=0.01]"]),
        ("train[n=1*]", ALL),
        ("train[lr=a*b]", ALL[2::3]),
        ("tra*", [*ALL, "trace"]),
        ("*[n=1,lr=0.*]", ALL[:2]),
        ("models/1/*.txt", ALL[:3]),
        ("models/**/0.1.txt", ALL[0::3]),
        ("models/10", ALL[3:]),
        ("./models/10/0.1.txt", ["train[n=10,lr=0.1]"]),
    ],
)
def test_what_a_word_stands_for(grid: Traced, word: str, chosen: list[str]) -> None:
    assert list(grid.run(word, "-n").states) == chosen or set(grid.run(word, "-n").states) == set(chosen)
    planned = grid("plan", "recipe.yaml", word, "--json")
    assert planned.code == 0 and {e["step"] for e in planned.events if e["event"] == "step"} == set(chosen)
    assert set(grid.run("--only", word).states) == set(chosen)


@pytest.mark.parametrize(
    "word", ["train[n=2]", "train[m=1]", "x*", "models/2/*.txt", "train[n=1", "report[n=1]"]
)
@pytest.mark.parametrize("before", [[], ["--only"], ["--skip"], ["--force"]])
def test_a_word_that_stands_for_nothing_is_refused(grid: Traced, word: str, before: list[str]) -> None:
    result = grid("run", "recipe.yaml", *before, word)
    assert result.code == 2 and word in result.stderr and len(result.stderr.splitlines()) == 1
    assert not grid.exists("models")


def test_skip_takes_instances_and_what_needs_them(grid: Traced) -> None:
    states = grid.run("--skip", "train[n=10,lr=0.1]").states
    assert states["train[n=10,lr=0.1]"] == "skipped" == states["report"]
    assert list(states.values()).count("ran") == 6


def test_force_and_why_take_parts(grid: Traced) -> None:
    grid.run()
    states = grid.run("--force", "train[lr=0.1]").states
    assert {name for name, state in states.items() if state == "ran"} == set(ALL[0::3])
    assert grid("why", "recipe.yaml", "train[n=1]").stdout.count("up to date") == 3


@pytest.mark.parametrize("more", [[], ["--dry-run"], ["--orphans"]])
def test_clean_goes_on_when_nobody_reads_what_it_says(grid: Traced, more: list[str]) -> None:
    grid.run()
    if "--orphans" in more:
        grid.recipe(
            GRID.replace("name: train", "name: fit")
            .replace("models/", "fits/")
            .replace("steps.train", "steps.fit")
        )
    done = subprocess.run(
        ["bash", "-c", f"{' '.join(command())} clean recipe.yaml {' '.join(more)} | head -1 | cut -c 1-5"],
        cwd=grid.workspace,
        env=grid.environment(),
        capture_output=True,
        check=True,
    )
    assert (done.stdout[:5], done.stderr) in ((b"remov", b""), (b"would", b""))
    assert grid.exists("models/1/0.1.txt") == ("--dry-run" in more)
