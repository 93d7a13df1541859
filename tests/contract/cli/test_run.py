"""`f0make run` from outside: events, exit codes, what a person reads."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.f0 import F0, command, interrupt

COUNTS = ("ran", "restored", "current", "failed", "skipped", "cancelled")

WORDS = """\
config:
  unit: words
steps:
  - name: count
    foreach:
      book:
        - moby
        - emma
    inputs: texts/${{ book }}.txt
    outputs: counts/${{ book }}.txt
    run: |
      echo counting ${{ book }}
      wc -w < ${{ inputs }} > ${{ outputs }}
  - name: total
    inputs: ${{ steps.count.outputs }}
    outputs: total.txt
    run: cat ${{ inputs }} > ${{ outputs }}
"""

FAILING = """\
steps:
  - name: good
    outputs: good.txt
    run: echo good > good.txt
  - name: bad
    outputs: bad.txt
    run: |
      for n in $(seq 30); do echo "line $n"; done
      exit 7
  - name: after
    inputs: bad.txt
    outputs: after.txt
    run: cp bad.txt after.txt
"""


@pytest.fixture
def words(f0: F0) -> F0:
    """Two texts to count."""
    f0.recipe(WORDS)
    f0.write("texts/moby.txt", "Call me Ishmael\n")
    f0.write("texts/emma.txt", "handsome clever and rich\n")
    return f0


def test_events_have_the_documented_fields(words: F0) -> None:
    result = words.run()
    first, *steps, last = result.events
    assert first["event"] == "start" and first["recipe"] == "recipe.yaml" and first["instances"] == 3
    assert {e["event"] for e in steps} == {"step"}
    assert result.states == {"count[book=moby]": "ran", "count[book=emma]": "ran", "total": "ran"}
    for event in steps:
        assert isinstance(event["reason"], str) and event["reason"]
        assert isinstance(event["seconds"], int | float)
    assert [e["step"] for e in steps][-1] == "total"
    assert last["event"] == "summary" and last["status"] == "ok"
    assert {name: last[name] for name in COUNTS} == dict.fromkeys(COUNTS, 0) | {"ran": 3}
    assert isinstance(last["seconds"], int | float)


def test_a_second_run_finds_everything_current(words: F0) -> None:
    words.run()
    for _ in range(2):  # the full way, then perhaps the short one
        again = words.run()
        assert set(again.states.values()) == {"current"} and len(again.states) == 3
        assert again.summary["current"] == 3 and again.summary["ran"] == 0


def test_the_summary_line_says_what_became_of_all(words: F0) -> None:
    first = words("run", "recipe.yaml")
    assert first.code == 0 and first.stdout == ""
    lines = first.stderr.splitlines()
    assert len(lines) == 4
    assert re.fullmatch(r"ran       total  [\d.]+ s  \(.+\)", lines[2])
    assert re.fullmatch(r"f0make: ok: 3 ran in [\d.]+ s", lines[3])
    second = words("run", "recipe.yaml")
    assert re.fullmatch(r"f0make: nothing to do: 3 current in [\d.]+ s\n", second.stderr)
    assert words("run", "recipe.yaml", "-q").stderr == ""


def test_verbose_shows_logs_and_what_is_current(words: F0) -> None:
    words.run()
    words.write("texts/moby.txt", "Call me what you like\n")
    result = words("run", "recipe.yaml", "-v")
    assert "counting moby" in result.stderr
    assert "counting emma" not in result.stderr
    assert re.search(r"^current   count\[book=emma\]", result.stderr, re.M)


def test_targets_may_be_steps_instances_and_files(words: F0) -> None:
    assert words.run("counts/emma.txt").states == {"count[book=emma]": "ran"}
    assert words.run("count[book=moby]").states == {"count[book=moby]": "ran"}
    assert words.run("./total.txt").states["total"] == "ran"
    wrong = words("run", "recipe.yaml", "totl")
    assert wrong.code == 2 and "total" in wrong.stderr


def test_a_failure_shows_the_end_of_its_log(f0: F0) -> None:
    f0.recipe(FAILING)
    result = f0("run", "recipe.yaml", "-k", "-j1")
    assert result.code == 1
    assert "line 30" in result.stderr and "line 11\n" in result.stderr
    assert "line 10\n" not in result.stderr
    assert re.search(r"^failed    bad ", result.stderr, re.M)
    assert result.stderr.splitlines()[-1].startswith("f0make: failed: 1 ran, 1 failed, 1 cancelled in ")
    quiet = f0("run", "recipe.yaml", "-k", "-q")
    assert "failed    bad" in quiet.stderr and "current" not in quiet.stderr


def test_a_failure_is_told_in_events(f0: F0) -> None:
    f0.recipe(FAILING)
    result = f0.run("-k", code=1)
    assert result.states == {"good": "ran", "bad": "failed", "after": "cancelled"}
    assert "7" in result.reasons["bad"]
    assert result.summary["status"] == "failed" and result.summary["failed"] == 1
    assert "line 30" in result.stderr  # people still see why


def test_dry_run_changes_nothing_and_is_the_plan(words: F0) -> None:
    dry = words.run("-n")
    assert dry.states == {"count[book=moby]": "run", "count[book=emma]": "run", "total": "run"}
    assert not words.exists(".f0make") and not words.exists("counts")


def test_the_config_can_be_overridden(f0: F0) -> None:
    f0.recipe(
        "config:\n  a:\n    b: one\nsteps:\n  - name: s\n    outputs: o\n    run: echo ${{ config.a.b }} > o\n"
    )
    f0.run("--set", "a.b=two")
    assert f0.read("o") == "two\n"
    f0.write("more.yaml", "a:\n  b: three\n")
    f0.run("--config", "more.yaml")
    assert f0.read("o") == "three\n"
    f0.run("--config", "more.yaml", "--set", "a.b=four")
    assert f0.read("o") == "four\n"


def test_another_directory_can_be_the_workspace(words: F0, tmp_path: Path) -> None:
    elsewhere = F0(tmp_path)
    assert elsewhere("run", "recipe.yaml", "-C", "workspace").code == 0
    assert words.exists("total.txt") and not elsewhere.exists(".f0make")
    assert elsewhere("-C", "workspace", "run", "recipe.yaml", "--json").summary["current"] == 3
    wrong = elsewhere("run", "recipe.yaml", "-C", "nowhere")
    assert wrong.code == 2 and "nowhere" in wrong.stderr


@pytest.mark.parametrize(
    ("words_given", "said"),
    [
        (["run"], "RECIPE"),
        (["run", "missing.yaml"], "missing.yaml"),
        (["run", "recipe.yaml", "-j", "many"], "whole number"),
        (["run", "recipe.yaml", "--nonsense"], "--nonsense"),
        (["run", "recipe.yaml", "--only", "cont"], "count"),
        (["run", "recipe.yaml", "--force", "nobody"], "nobody"),
        (["run", "recipe.yaml", "--strict", "--audit"], "contradict"),
        (["frobnicate"], "frobnicate"),
    ],
)
def test_wrong_usage_exits_with_2_in_one_line(words: F0, words_given: list[str], said: str) -> None:
    result = words(*words_given)
    assert result.code == 2
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert result.stdout == ""
    assert not words.exists("total.txt")


@pytest.mark.parametrize("more", ["-j 0", "-j x", "--retries x", "-q -v", "--backend spark", "--set x"])
def test_wrong_usage_is_wrong_even_where_there_is_nothing_to_do(words: F0, more: str) -> None:
    words.run()
    words.run()
    assert words("run", "recipe.yaml", *more.split()).code == 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_ends_with_a_summary_and_the_next_run_goes_on(f0: F0, number: int, code: int) -> None:
    f0.recipe(
        "steps:\n  - name: a\n    outputs: a\n    run: echo > a\n"
        "  - name: b\n    inputs: a\n    outputs: b\n    run: touch started; sleep 600; echo > b\n"
    )
    process = f0.start("run", "recipe.yaml", "--json")
    end = time.monotonic() + 30
    while not f0.exists("started") and time.monotonic() < end:
        time.sleep(0.05)
    result = interrupt(process, number)
    assert result.code == code
    assert result.states == {"a": "ran", "b": "cancelled"}
    assert result.summary["status"] == "interrupted"
    f0.recipe(f0.read("recipe.yaml").replace("sleep 600", "sleep 0"))
    assert f0.run().states == {"a": "current", "b": "ran"}


def test_a_workspace_that_is_held_exits_with_4_and_can_be_waited_for(f0: F0) -> None:
    f0.recipe(
        "steps:\n  - name: s\n    outputs: o\n"
        "    run: touch started; while [ ! -e go ]; do sleep 0.02; done; echo > o\n"
    )
    process = f0.start("run", "recipe.yaml")
    end = time.monotonic() + 30
    while not f0.exists("started") and time.monotonic() < end:
        time.sleep(0.05)
    held = f0("run", "recipe.yaml")
    assert held.code == 4 and str(process.pid) in held.stderr
    assert str(process.pid) in f0("status").stderr
    waiting = f0.start("run", "recipe.yaml", "--wait", "--json")
    f0.write("go", "")
    assert '"step": "s", "status": "current"' in waiting.communicate(timeout=60)[0]
    process.communicate(timeout=60)
    assert process.returncode == waiting.returncode == 0


def test_every_problem_of_a_recipe_is_on_a_line_of_its_own(f0: F0) -> None:
    f0.recipe(
        "steps:\n  - name: a\n    runn: x\n  - name: b\n    outputs: o\n    run: echo\n    retries: many\n"
    )
    result = f0("validate", "recipe.yaml")
    assert result.code == 2
    lines = result.stderr.splitlines()
    assert any(line.startswith("recipe.yaml:3:") and "run" in line for line in lines)
    assert any(line.startswith("recipe.yaml:7:") for line in lines)
    assert not any(line.startswith("f0make:") for line in lines)


def test_alone_it_prints_its_help(f0: F0) -> None:
    result = f0()
    assert result.code == 2
    assert "Usage: f0make" in result.stderr
    for verb in (
        "run",
        "plan",
        "why",
        "graph",
        "validate",
        "list",
        "status",
        "log",
        "history",
        "context",
        "clean",
    ):
        assert re.search(rf"^  {verb} ", result.stderr, re.M)


@pytest.mark.parametrize("verb", ["run", "plan", "why", "graph", "validate", "cache gc", "init", "log"])
def test_every_verb_has_help(f0: F0, verb: str) -> None:
    result = f0(*verb.split(), "--help")
    assert result.code == 0
    assert f"Usage: f0make {verb}" in result.stdout


def test_the_version_is_printed(f0: F0) -> None:
    from f0make import __version__

    assert f0("--version").stdout == f"f0make {__version__}\n"


def test_debug_shows_a_traceback_and_nothing_else_does(f0: F0) -> None:
    assert "Traceback" in f0("run", "missing.yaml", "--debug").stderr
    assert "Traceback" not in f0("run", "missing.yaml").stderr


def test_events_come_while_the_run_goes_on(f0: F0) -> None:
    f0.recipe(
        "steps:\n  - name: fast\n    outputs: fast\n    run: echo > fast\n"
        "  - name: slow\n    inputs: fast\n    outputs: slow\n"
        "    run: |\n      while [ ! -e go ]; do sleep 0.05; done\n      echo > slow\n"
    )
    process = f0.start("run", "recipe.yaml", "--json")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["event"] == "start"
    assert json.loads(process.stdout.readline())["step"] == "fast"
    f0.write("go", "")
    rest, _ = process.communicate(timeout=30)
    assert [json.loads(line)["event"] for line in rest.splitlines()] == ["step", "summary"]
    assert process.returncode == 0


def test_a_reader_that_leaves_does_not_end_the_run(f0: F0) -> None:
    f0.recipe(
        "steps:\n  - name: first\n    outputs: a\n    run: sleep 0.3; echo > a\n"
        "  - name: second\n    inputs: a\n    outputs: b\n    run: echo > b\n"
    )
    process = f0.start("run", "recipe.yaml", "--json")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=30) == 0
    assert f0.exists("b")


def on_terminal(f0: F0, *args: str) -> tuple[int, str]:
    """Run with stderr on a terminal; the exit code and what the terminal got."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*command(), *args],
        cwd=f0.workspace,
        env=f0.environment({"TERM": "xterm", "COLUMNS": "80"}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    got = b""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if select.select([ours], [], [], 0.1)[0]:
            try:
                data = os.read(ours, 65536)
            except OSError:  # Linux: the other side is closed
                break
            if not data:
                break
            got += data
    os.close(ours)
    return process.wait(timeout=10), got.decode()


def test_a_terminal_gets_progress_and_is_left_clean(words: F0) -> None:
    words.recipe(WORDS.replace("echo counting", "sleep 0.6; echo counting"))
    code, text = on_terminal(words, "run", "recipe.yaml", "-j1")
    assert code == 0
    assert re.search(r"\[\d/3\] 1 running", text)
    assert "ran       total" in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h")  # the cursor is shown again
    assert "f0make: ok: 3 ran" in text.splitlines()[-1]


def test_a_terminal_sees_nothing_move_when_nothing_runs(words: F0) -> None:
    words.run()
    code, text = on_terminal(words, "run", "recipe.yaml")
    assert code == 0
    assert "\x1b" not in text
    assert len(text.splitlines()) == 1


def test_workers_that_were_started_for_nothing_are_gone(f0: F0) -> None:
    """In a workspace where nothing has ever run they come up before the graph is known to be sound."""
    f0.recipe("steps:\n  - name: a\n    inputs: nowhere\n    outputs: b\n    run: cp nowhere b\n")
    assert "nowhere" in f0.run(code=2).stderr
    assert list((f0.workspace / ".f0make" / "run").iterdir()) == []
    (f0.workspace / "nowhere").write_text("there")
    assert f0.run().summary["ran"] == 1
