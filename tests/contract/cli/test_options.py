"""The command line: exit codes, events, options of `run`, the other verbs."""

from __future__ import annotations

import json
import re

import pytest

from tests.support.contract_tools import TRACE, Traced
from tests.support.f0 import F0, command

COUNTS = ("ran", "restored", "current", "failed", "skipped", "cancelled")


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


def test_f0make_alone_prints_its_help(f0: F0) -> None:
    result = f0()
    assert result.code == 2 and "run" in result.stdout + result.stderr
    for args in (("--help",), ("run", "--help"), ("cache", "--help"), ("--version",)):
        assert f0(*args).code == 0, args
    for args in (
        ("rnu",),
        ("run",),
        ("run", "r.yaml", "--no-such"),
        ("run", "r.yaml", "-j", "0"),
        ("run", "r.yaml", "-j", "x"),
    ):
        result = f0(*args)
        assert result.code == 2 and result.stderr, args
        assert not f0.exists(".f0make"), args


def test_exit_codes_0_1_2(chain: Traced) -> None:
    assert chain.run().code == 0
    chain.edit("recipe.yaml", "cat a.txt", "exit 9; cat a.txt")
    assert chain("run", "recipe.yaml").code == 1
    chain.write("recipe.yaml", "steps: x\n")
    assert chain("run", "recipe.yaml").code == 2
    chain.recipe(CHAIN)
    result = chain("run", "recipe.yaml", "cc.txt")
    assert result.code == 2 and "cc.txt" in result.stderr and "c.txt" in result.stderr


def test_events(chain: Traced) -> None:
    result = chain("run", "recipe.yaml", "--json")
    lines = result.stdout.splitlines()
    events = [json.loads(line) for line in lines]
    assert result.stdout.isascii() and events[0]["event"] == "start" and events[-1]["event"] == "summary"
    assert [e["event"] for e in events[1:-1]] == ["step"] * 4
    for event in events[1:-1]:
        assert event["status"] == "ran" and isinstance(event["reason"], str)
        assert isinstance(event["seconds"], int | float) and event["seconds"] >= 0
    order = [e["step"] for e in events[1:-1]]
    assert order.index("a") < order.index("b") < order.index("c")
    summary = events[-1]
    assert summary["status"] == "ok" and summary["ran"] == 4
    assert all(isinstance(summary[name], int) for name in COUNTS) and isinstance(
        summary["seconds"], int | float
    )
    # Every status, and the sum of them.
    chain.edit("recipe.yaml", "cat a.txt", "exit 9; cat a.txt")
    chain.edit("recipe.yaml", "  - name: x\n", "  - name: x\n    when: no\n")
    chain.remove("a.txt")
    result = chain.run(code=1)
    assert result.states == {"a": "restored", "b": "failed", "c": "cancelled", "x": "skipped"}
    assert {n: result.summary[n] for n in COUNTS} == {
        "ran": 0, "restored": 1, "current": 0, "failed": 1, "skipped": 1, "cancelled": 1,
    }  # fmt: skip
    assert result.summary["status"] == "failed" and result.reasons["c"] and "9" in result.reasons["b"]
    current = chain.run("x.txt", "--json", code=None)
    assert current.events[0]["event"] == "start"


def test_each_instance_has_one_event_in_every_kind_of_run(chain: Traced) -> None:
    for args in ((), (), ("--force", "b"), ("-n",), ("b",)):
        events = [e for e in chain.run(*args).events if e["event"] == "step"]
        names = [e["step"] for e in events]
        assert len(names) == len(set(names)) == (2 if args == ("b",) else 4), args


def test_stdout_is_for_results_and_stderr_for_people(chain: Traced) -> None:
    result = chain("run", "recipe.yaml")
    assert result.stdout == "" and "a" in result.stderr and "\x1b" not in result.stderr
    quiet = chain("run", "recipe.yaml", "-q")
    assert quiet.stdout == quiet.stderr == ""
    chain.edit("recipe.yaml", "cat in.txt", "echo the reason; exit 1; cat in.txt")
    failed = chain("run", "recipe.yaml", "-q")
    assert failed.code == 1 and "the reason" in failed.stderr
    both = chain("run", "recipe.yaml", "--json")
    assert "the reason" in both.stderr and all(json.loads(line) for line in both.stdout.splitlines())


def test_keep_going(chain: Traced) -> None:
    chain.edit("recipe.yaml", "cat in.txt > a.txt", "while [ ! -e begun ]; do sleep 0.02; done; exit 1")
    chain.edit("recipe.yaml", "  - name: x\n    inputs: in.txt\n", "  - name: x\n    depends_on: y\n")
    chain.edit("recipe.yaml", "cat in.txt > x.txt", "touch x.txt")
    chain.write("recipe.yaml", chain.read("recipe.yaml") + "  - name: y\n    run: touch begun; sleep 0.3\n")
    result = chain.run("-j2", code=1)
    assert result.states == {"a": "failed", "b": "cancelled", "c": "cancelled", "y": "ran", "x": "cancelled"}
    result = chain.run("-j2", "-k", code=1)
    assert result.states == {"a": "failed", "b": "cancelled", "c": "cancelled", "y": "current", "x": "ran"}


def test_dry_run_is_the_plan(chain: Traced) -> None:
    for prepare in (
        lambda: None,
        chain.run,
        lambda: chain.write("in.txt", "2\n"),
        lambda: chain.remove("c.txt"),
    ):
        prepare()
        plan = chain("plan", "recipe.yaml", "--json")
        for option in ("-n", "--dry-run"):
            dry = chain("run", "recipe.yaml", option, "--json")
            assert dry.code == 0 and dry.states == plan.states and dry.reasons == plan.reasons
    assert plan.states == {"a": "run", "b": "run", "c": "run", "x": "run"}
    chain.run()
    chain.remove("c.txt")
    assert chain("plan", "recipe.yaml", "--json").states == {
        "a": "current",
        "b": "current",
        "c": "restore",
        "x": "current",
    }
    chain.edit("recipe.yaml", "  - name: c\n", "  - name: c\n    when: no\n")
    assert chain("plan", "recipe.yaml", "--json").states["c"] == "skip"
    assert chain("plan", "recipe.yaml", "--exit-code").code == 0
    chain.remove("b.txt")
    assert chain("plan", "recipe.yaml", "--exit-code").code == 1
    assert chain("plan", "recipe.yaml").code == 0


def test_a_plan_of_a_plan_names_reasons(chain: Traced) -> None:
    chain.run()
    chain.write("in.txt", "2\n")
    said = chain("plan", "recipe.yaml").stdout
    assert "in.txt" in said and re.search(r"^run +a\b", said, re.M)
    assert set(chain("plan", "recipe.yaml", "--json", "x").states) == {"x"}


def test_force(chain: Traced) -> None:
    chain.run()
    chain.executed()
    assert chain.run("--force", "b").states == {"a": "current", "b": "ran", "c": "current", "x": "current"}
    assert chain.run("--force", "a.txt", "--force", "x").states == {
        "a": "ran", "b": "current", "c": "current", "x": "ran",
    }  # fmt: skip
    assert chain.executed() == ["a", "b", "x"]
    assert chain("run", "recipe.yaml", "--force", "nothing").code == 2


def test_only(chain: Traced) -> None:
    chain.run()
    chain.executed()
    chain.write("in.txt", "2\n")
    assert chain.run("--only", "c").states == {"c": "current"}
    chain.write("b.txt", "by hand\n")
    assert chain.run("--only", "c").states == {"c": "ran"}
    assert chain.read("c.txt") == "by hand\nc\n" and chain.read("b.txt") == "by hand\n"
    assert chain.run("--only", "a", "--only", "x").states == {"a": "ran", "x": "ran"}
    assert chain.executed() == ["a", "c", "x"]
    assert chain("run", "recipe.yaml", "--only", "nothing").code == 2
    chain.remove("b.txt")
    assert chain("run", "recipe.yaml", "--only", "c").code != 0


def test_skip(chain: Traced) -> None:
    assert chain.run("--skip", "b").states == {"a": "ran", "b": "skipped", "c": "skipped", "x": "ran"}
    assert chain.executed() == ["a", "x"]
    result = chain("run", "recipe.yaml", "--skip", "bb")
    assert result.code == 2 and "'b'" in result.stderr


def test_targets_of_every_kind(traced: Traced) -> None:
    traced.recipe(
        "steps:\n  - name: s\n    foreach:\n      x:\n        - a\n        - b\n    outputs: dir/${{ x }}/\n"
        "    run: mkdir -p ${{ outputs }}; touch ${{ outputs }}/f\n"
        "  - name: t\n    outputs: t.txt\n    run: touch t.txt\n"
    )
    traced.write("file of mine", "")
    for target, wanted in (
        ("s", {"s[x=a]", "s[x=b]"}),
        ("s[x=b]", {"s[x=b]"}),
        ("dir/a", {"s[x=a]"}),
        ("dir/a/", {"s[x=a]"}),
        ("./dir/../dir/a", {"s[x=a]"}),
        ("dir/a/f", {"s[x=a]"}),
        (str(traced.workspace / "t.txt"), {"t"}),
        ("file of mine", set()),
    ):
        assert set(traced.run(target).states) == wanted, target
    assert set(traced.run("t", "s[x=a]").states) == {"t", "s[x=a]"}
    for target in ("s[x=c]", "s[y=a]", "nothing", "../outside"):
        assert traced("run", "recipe.yaml", target).code == 2, target


def test_another_directory(chain: Traced) -> None:
    here = F0(chain.workspace.parent)
    env = chain.environment()
    for args in (("run", "-C", "workspace", "recipe.yaml"), ("-C", "workspace", "run", "recipe.yaml")):
        assert here(*args, env=env).code == 0
    assert here("status", "-C", "workspace").code == 0
    assert not (chain.workspace.parent / ".f0make").exists() and chain.exists(".f0make")
    assert here("run", "-C", "nowhere", "recipe.yaml").code == 2


def test_options_of_this_and_other_versions(chain: Traced) -> None:
    assert chain.run("--backend", "local").code == 0
    for args in (
        ("--backend", "nonsense://x"),
        ("--resource", "x"),
        ("--resource", "x=y"),
        ("--retries", "-1"),
    ):
        result = chain("run", "recipe.yaml", *args)
        assert result.code == 2 and result.stderr, args


def test_python_m_f0make_is_the_same(chain: Traced) -> None:
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "f0make", "run", "recipe.yaml", "--json"],
        cwd=chain.workspace, env=chain.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and '"ran": 4' in done.stdout
    assert command()
