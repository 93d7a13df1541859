"""Every verb but `run` and `plan`."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time

import pytest

from tests.support.contract_tools import TRACE, Traced, listing
from tests.support.f0 import F0


@pytest.fixture
def traced(f0: F0) -> Traced:
    """An empty workspace."""
    return Traced(f0.workspace)


CHAIN = "steps:\n" + "".join(
    f"  - name: {name}\n    inputs: {needs}.txt\n    outputs: {name}.txt\n    run: |\n      {TRACE}\n"
    f"      cat {needs}.txt > {name}.txt; echo {name} >> {name}.txt\n"
    for name, needs in (("a", "in"), ("b", "a"), ("c", "b"), ("x", "in"))
)


@pytest.fixture
def chain(traced: Traced) -> Traced:
    """in → a → b → c, and x beside them."""
    traced.recipe(CHAIN)
    traced.write("in.txt", "in\n")
    return traced


def test_list(chain: Traced) -> None:
    chain.edit("recipe.yaml", "  - name: a\n", "  - name: a\n    description: Makes the first\n")
    chain.write("recipe.yaml", "targets:\n  - c\n" + chain.read("recipe.yaml"))
    said = chain("list", "recipe.yaml").stdout
    assert "Makes the first" in said and all(re.search(rf"^{n}\b", said, re.M) for n in "abcx")
    listed = [json.loads(line) for line in chain("list", "recipe.yaml", "--json").stdout.splitlines()]
    assert {e["step"] for e in listed if "step" in e} >= set("abcx")


def test_status_and_history(chain: Traced) -> None:
    chain.run()
    assert "4 ran" in chain("status").stdout
    chain.edit("recipe.yaml", "cat a.txt", "exit 1; cat a.txt")
    chain.run(code=1)
    said = chain("status").stdout
    assert "failed" in said and re.search(r"\bb\b", said)
    status = json.loads(chain("status", "--json").stdout.splitlines()[-1])
    assert status["status"] == "failed" and status["failed"] == 1 and status["recipe"] == "recipe.yaml"
    chain.write("other.yaml", "steps:\n  - name: o\n    run: 'true'\n")
    chain.run(recipe="other.yaml")
    history = [json.loads(line) for line in chain("history", "--json").stdout.splitlines()]
    assert [h["recipe"] for h in history] == ["recipe.yaml", "recipe.yaml", "other.yaml"]
    assert [h["status"] for h in history] == ["ok", "failed", "ok"]
    assert len(chain("history").stdout.splitlines()) == 3
    assert len(chain("history", "other.yaml").stdout.splitlines()) == 1
    assert "failed" in chain("status", "recipe.yaml").stdout


def test_logs(traced: Traced) -> None:
    traced.recipe(
        "steps:\n  - name: s\n    foreach:\n      x:\n        - a\n        - b c\n"
        "    run: echo out ${{ x }}; echo err ${{ x }} >&2\n  - name: quiet\n    run: 'true'\n"
        "  - name: both\n    outputs: o\n    run: echo made; touch o; exit 1\n"
    )
    traced.run("-k", code=1)
    assert traced("log", "s[x=a]").stdout == "out a\nerr a\n"
    assert traced("log", "s[x=b c]", "recipe.yaml").stdout == "out b c\nerr b c\n"
    everything = traced("log", "s").stdout
    assert "out a" in everything and "err b c" in everything
    assert traced("log", "both").stdout == "made\n"
    assert traced("log", "quiet").code == 0
    assert traced("log", "nothing").code == 2


def test_clean(chain: Traced) -> None:
    chain.run()
    chain.write("mine.txt", "mine\n")
    chain.write("x.txt", "altered\n")
    before = listing(chain.workspace)
    dry = chain("clean", "recipe.yaml", "--dry-run")
    assert "a.txt" in dry.stdout + dry.stderr and listing(chain.workspace) == before
    result = chain("clean", "recipe.yaml")
    assert result.code == 0 and "x.txt" in result.stdout + result.stderr
    assert sorted(p for p in os.listdir(chain.workspace) if not p.startswith(".")) == [
        "in.txt", "mine.txt", "recipe.yaml", "x.txt",
    ]  # fmt: skip
    assert chain.read("x.txt") == "altered\n"
    chain.executed()
    assert set(chain.run("c").states.values()) == {"restored"} and chain.executed() == []


def test_clean_orphans(traced: Traced) -> None:
    recipe = (
        "steps:\n  - name: s\n    foreach:\n      x:\n        - a\n        - b\n    outputs: o/${{ x }}\n    run: touch ${{ outputs }}\n"
        "  - name: gone\n    outputs: g/deep/er\n    run: touch ${{ outputs }}\n"
    )
    traced.recipe(recipe)
    traced.run()
    assert traced("clean", "recipe.yaml", "--orphans").code == 0
    assert traced.exists("o/a") and traced.exists("g/deep/er")
    traced.recipe(recipe.split("  - name: gone")[0].replace("        - b\n", ""))
    traced("clean", "recipe.yaml", "--orphans")
    assert traced.exists("o/a") and not traced.exists("o/b") and not traced.exists("g/deep/er")


def test_cache_verbs(chain: Traced) -> None:
    chain.run()
    chain.write("in.txt", "second " * 1000)
    chain.run()
    stats = json.loads(chain("cache", "stats", "--json").stdout.splitlines()[-1])
    assert stats and chain("cache", "stats").code == 0
    assert chain("cache", "gc", "--size", "8KB").code == 0
    blobs = [p for p in (chain.workspace / ".f0make/cache/cas").rglob("*") if p.is_file()]
    assert sum(p.stat().st_size for p in blobs) <= 8000
    assert chain("cache", "gc", "--size", "0").code == 0
    assert chain("cache", "gc", "--size", "lots").code == 2
    chain.executed()
    chain.remove("c.txt")
    assert chain.run().states == {"a": "current", "b": "current", "c": "ran", "x": "current"}
    assert chain("cache", "verify", "--cache", "elsewhere").code in (0, 2)
    assert not chain.exists("elsewhere")


def test_cache_verbs_with_another_cache(chain: Traced) -> None:
    chain.run("--cache", "../shared")
    assert chain("cache", "verify", "--cache", "../shared").code == 0
    (blob, *_) = [
        p for p in (chain.workspace.parent / "shared").rglob("*") if len(p.name) == 64 and "cas" in p.parts
    ]
    blob.chmod(0o644)
    blob.write_bytes(b"bad")
    assert chain("cache", "verify", "--cache", "../shared").code == 1
    assert chain("cache", "gc", "--size", "0", "--cache", "../shared").code == 0


def test_gc_while_a_run_goes_on(chain: Traced) -> None:
    chain.edit("recipe.yaml", "cat a.txt >", "sleep 0.5; cat a.txt >")
    run = chain.start("run", "recipe.yaml", "--json")
    while run.poll() is None:
        assert chain("cache", "gc", "--size", "0").code == 0
        time.sleep(0.02)
    run.communicate()
    assert run.returncode == 0 and chain.read("c.txt") == "in\na\nb\nc\n"
    assert chain.run().summary["current"] == 4


def test_init(f0: F0) -> None:
    assert f0("init").code == 0
    (recipe,) = f0.workspace.glob("*.yaml")
    assert f0("validate", recipe.name).code == 0
    assert f0.run(recipe=recipe.name).summary["ran"] > 0
    assert f0.run(recipe=recipe.name).summary["ran"] == 0
    before = listing(f0.workspace)
    assert f0("init").code == 2 and listing(f0.workspace) == before


def test_graphs(chain: Traced) -> None:
    chain.run("a")
    dot = chain("graph", "recipe.yaml", "--dot").stdout
    assert dot.startswith("digraph") and '"a"' in dot and dot.count("->") == 2
    drawn = json.loads(chain("graph", "recipe.yaml", "--json").stdout)
    assert {n["name"]: n["status"] for n in drawn["nodes"]} == {
        "a": "current",
        "b": "run",
        "c": "run",
        "x": "run",
    }
    assert {(e["from"], e["to"]) for e in drawn["edges"]} == {("a", "b"), ("b", "c")}
    assert "flowchart" in chain("graph", "recipe.yaml", "--mermaid").stdout
    assert "<svg" in chain("graph", "recipe.yaml", "--svg").stdout
    page = chain("graph", "recipe.yaml", "--html").stdout
    assert (
        "<html" in page.lower()
        and "http://" not in page.replace("http://www.w3.org", "")
        and "src=" not in page
    )
    chain("graph", "recipe.yaml", "--dot", "-o", "g.dot")
    assert chain.read("g.dot") == dot
    if shutil.which("dot"):
        subprocess.run(["dot", "-Tsvg", "-o", "/dev/null", "g.dot"], cwd=chain.workspace, check=True)


def test_steps_of_a_graph(traced: Traced) -> None:
    traced.recipe(
        "steps:\n  - name: s\n    foreach:\n      x:\n        range: 1..5\n    outputs: o${{ x }}\n    run: touch ${{ outputs }}\n"
        "  - name: all\n    inputs: ${{ steps.s.outputs }}\n    run: 'true'\n"
    )
    assert traced("graph", "recipe.yaml", "--dot").stdout.count("->") == 5
    assert traced("graph", "recipe.yaml", "--dot", "--steps").stdout.count("->") == 1


def test_validate_says_that_all_is_well(chain: Traced) -> None:
    result = chain("validate", "recipe.yaml")
    assert result.code == 0 and "recipe.yaml" in result.stdout + result.stderr
    chain.remove("in.txt")
    assert chain("validate", "recipe.yaml").code == 2
