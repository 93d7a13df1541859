"""`f0make run --debug` says on standard error which way answered the request, and why."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.support.f0 import F0, Result

RECIPE = (
    "steps:\n  - name: copy\n    foreach:\n      n:\n        - a\n        - b\n"
    "    inputs: in/${{ n }}\n    outputs: out/${{ n }}\n    run: cp ${{ inputs }} ${{ outputs }}\n"
)


@pytest.fixture
def done(f0: F0) -> F0:
    """Two copies, up to date."""
    (f0.workspace / "in").mkdir()
    for name in "ab":
        (f0.workspace / "in" / name).write_text(f"{name}\n")
    (f0.workspace / "r.yaml").write_text(RECIPE)
    first = f0("run", "r.yaml", "--debug")
    assert ways(first) == [FIRST]
    assert f0("run", "r.yaml").code == 0
    return f0


FIRST = (
    "full way: no snapshot of this request: it is the first run, the last one did not end well, "
    "or f0make or Python is another"
)
CHANGED = "partial way: what differs from the last run reaches only a part of the graph"


def ways(result: Result) -> list[str]:
    """What a good run says of its way."""
    assert result.code == 0, result.stderr
    lines = [line.removeprefix("f0make: ") for line in result.stderr.splitlines()]
    return [line for line in lines if line.split(":")[0] in ("no-op path", "partial way", "full way")]


def test_nothing_to_do(done: F0) -> None:
    told = "no-op path: every file is as the last run left it"
    assert ways(done("run", "r.yaml", "--debug")) == [told]
    assert ways(done("run", "-q", "--debug", "r.yaml")) == [told]
    assert ways(done("run", "--json", "--debug", "r.yaml")) == [told]
    assert ways(done("run", "r.yaml")) == []
    assert ways(done("run", "-v", "--debug", "r.yaml")) == [
        "partial way: every file is as the last run left it, and each instance is to be told of"
    ]


def test_one_change(done: F0) -> None:
    (done.workspace / "in/a").write_text("another\n")
    result = done("run", "r.yaml", "--debug", "--json")
    assert ways(result) == [f"{CHANGED} (in/a)"]
    assert result.summary["ran"] == 1
    (done.workspace / "out/a").unlink()
    (done.workspace / "in/b").write_text("another\n")
    assert ways(done("run", "r.yaml", "--debug")) == [f"{CHANGED} (in/b and 1 more)"]
    (done.workspace / "in/b").write_text("a third\n")
    assert ways(done("run", "r.yaml")) == []


def test_the_whole_is_decided_and_why(done: F0) -> None:
    (done.workspace / "r.yaml").write_text(RECIPE + "# a comment\n")
    assert ways(done("run", "r.yaml", "--debug")) == [
        "full way: the whole graph rests on a path that has changed (r.yaml)"
    ]
    assert ways(done("run", "r.yaml", "--debug", "--force", "copy[n=a]")) == [
        "full way: --force asks for more than what changed"
    ]
    assert ways(done("run", "r.yaml", "--debug", "--max-load", "1000")) == [
        "full way: a budget limits the run"
    ]
    assert ways(done("run", "r.yaml", "--debug", "--only", "copy[n=a]")) == [
        "full way: --only, --skip and --resource make an answer that no other run can use"
    ]
    (done.workspace / "r.yaml").write_text(RECIPE.replace("        - b\n", ""))
    assert len(ways(done("run", "r.yaml", "--debug"))) == 1
    (done.workspace / "in/a").unlink()
    result = done("run", "r.yaml", "--debug")
    assert result.code == 2
    assert "full way: an input is gone, or is of another kind (in/a)" in result.stderr


def test_a_snapshot_without_a_graph_says_why(f0: F0) -> None:
    source: Path = f0.workspace / "m.py"
    source.write_text("def count(ctx):\n    ctx.set('n', 1)\n")
    (f0.workspace / "r.yaml").write_text(
        "steps:\n  - name: p\n    inputs: x\n    module: m\n    function: count\n"
    )
    (f0.workspace / "x").write_text("1\n")
    time.sleep(0.05)  # no snapshot vouches for files that were edited within a clock tick of the run's begin
    assert f0("run", "r.yaml").code == 0
    (f0.workspace / "x").write_text("2\n")
    assert ways(f0("run", "r.yaml", "--debug")) == [
        "full way: the snapshot has no graph (python steps use the context)"
    ]
