"""Graphs that grow (`glob` with `after`), and temp files in them: what may still come is a state like any other."""

from __future__ import annotations

import json
import signal
import time

import pytest

from tests.support.f0 import F0

SPLIT = """\
  - name: split
    outputs: parts/
    run: mkdir -p parts; for p in {parts}; do mkdir -p parts/$p; done; {files}
"""
EACH = """\
  - name: each
    foreach:
      p:
        glob: parts/${{ p }}
        after: split
    inputs:
      - parts/${{ p }}
{more}    outputs: each/${{ p }}
    run: {run}
"""
ALL = """\
  - name: all
    inputs: ${{ steps.each.outputs }}
    outputs: all.txt
    run: cat /dev/null ${{ inputs }} > all.txt
"""
RAW = """\
  - name: raw
    outputs:
      - path: raw
        temp: yes
    run: echo raw > raw; echo x >> ran_raw
"""


def split(files: str = "a b") -> str:
    made = "; ".join(f"echo {name} > parts/{name}" for name in files.split())
    return SPLIT.replace("for p in {parts}; do mkdir -p parts/$p; done; ", "").replace(
        "{files}", made or "true"
    )


def each(run: str = "cp ${{ inputs[0] }} ${{ outputs }}", *inputs: str) -> str:
    more = "".join(f"      - {path}\n" for path in inputs)
    return EACH.replace("{more}", more).replace("{run}", run)


def write(f0: F0, *steps: str) -> None:
    (f0.workspace / "recipe.yaml").write_text("steps:\n" + "".join(steps))


def exists(f0: F0, path: str) -> bool:
    return (f0.workspace / path).exists()


# -- temp files -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["path", "glob", "pattern", "template", "directory"])
def test_a_temp_file_lives_until_nothing_may_come_that_needs_it(f0: F0, how: str) -> None:
    raw, reader = RAW, each("cat raw > ${{ outputs }}", "raw")
    early = "  - name: early\n    inputs: raw\n    outputs: early\n    run: cp raw early\n"
    if how == "glob":
        reader = each("cat raw > ${{ outputs }}", "ra*")
    elif how == "template":
        raw = raw.replace("raw", "r/${{ config.name }}").replace("name: r/${{ config.name }}", "name: raw")
        raw = raw.replace("run: echo r/${{ config.name }}", "run: mkdir -p r; echo raw").replace(
            ">> ran_r/${{ config.name }}", ">> ran_raw"
        )
        reader = each("cat r/x > ${{ outputs }}", "r/${{ config.name }}")
        early = early.replace("raw", "r/x")
    elif how == "pattern":
        reader = each("cat ${{ inputs[1] }} > ${{ outputs }}", "by/${{ p }}")
        reader += "  - name: by\n    inputs: raw\n    outputs: by/${{ q }}\n    run: cp raw ${{ outputs }}\n"
    elif how == "directory":
        raw = "  - name: raw\n    outputs:\n      - path: dir/\n        temp: yes\n    run: mkdir dir; echo raw > dir/raw; echo x >> ran_raw\n"
        reader = each("cat dir/raw > ${{ outputs }}", "dir/raw")
        early = early.replace("raw", "dir/raw")
    split_after = split().replace("    outputs: parts/", "    inputs: early\n    outputs: parts/")
    write(f0, raw, early, split_after, reader, ALL)
    if how == "template":
        text = (f0.workspace / "recipe.yaml").read_text()
        (f0.workspace / "recipe.yaml").write_text("config:\n  name: x\n" + text)
    f0.run("-j1")
    assert (f0.workspace / "all.txt").read_text() == "raw\nraw\n"
    assert (f0.workspace / "ran_raw").read_text() == "x\n"
    for gone in ("raw", "dir", "r/x"):
        assert not exists(f0, gone)
    assert set(f0.run().states.values()) == {"current"}


def test_a_temp_file_goes_when_nothing_came(f0: F0) -> None:
    write(f0, RAW, split(""), each("cat raw > ${{ outputs }}", "raw"), ALL)
    f0.run()
    assert not exists(f0, "raw") and exists(f0, "all.txt")


def test_a_temp_file_that_nothing_to_come_reads_goes_at_once(f0: F0) -> None:
    early = "  - name: early\n    inputs: raw\n    outputs: early\n    run: cp raw early\n"
    look = each("test ! -e raw && cp ${{ inputs[0] }} ${{ outputs }}", "early")
    write(
        f0, RAW, early, split().replace("    outputs: parts/", "    inputs: early\n    outputs: parts/"), look
    )
    f0.run("-j1")
    assert not exists(f0, "raw")


MAKER = """\
  - name: both
    inputs: in
    outputs:
      - path: t
        temp: yes
      - k
    run: cp in t; cp in k; echo x >> ran_both
  - name: of_t
    inputs: t
    outputs: of_t
    run: cp t of_t
"""
OF_K = "  - name: of_k\n    inputs: k\n    outputs: of_k\n    run: {}\n"


def test_temp_counts_per_file(f0: F0) -> None:
    (f0.workspace / "in").write_text("1\n")
    write(f0, MAKER, OF_K.format("cp k of_k"))
    f0.run("--no-cache")
    write(f0, MAKER, OF_K.format("sort k > of_k"))
    planned = f0("plan", "recipe.yaml", "--no-cache", "--json").events
    assert {e["step"]: e["status"] for e in planned if e["event"] == "step"} == {
        "both": "current",
        "of_t": "current",
        "of_k": "run",
    }
    again = f0.run("--no-cache")
    assert again.states == {"both": "current", "of_t": "current", "of_k": "ran"}
    assert (f0.workspace / "ran_both").read_text() == "x\n" and not exists(f0, "t")


def test_a_temp_file_goes_with_its_own_last_reader(f0: F0) -> None:
    (f0.workspace / "in").write_text("1\n")
    write(
        f0,
        MAKER,
        "  - name: of_k\n    inputs:\n      - k\n      - of_t\n    outputs: of_k\n    run: test ! -e t; cp k of_k\n",
    )
    assert set(f0.run("-j1").states.values()) == {"ran"}


def test_a_temp_file_that_nothing_reads_goes_at_once(f0: F0) -> None:
    (f0.workspace / "in").write_text("1\n")
    maker = MAKER.partition("  - name: of_t")[0]
    write(f0, maker, OF_K.format("test ! -e t; cp k of_k"))
    f0.run("-j1")
    (f0.workspace / "k").unlink()
    assert f0.run("--no-cache").states["both"] == "ran"
    assert not exists(f0, "t")


def test_only_the_temp_file_that_is_read_comes_back(f0: F0) -> None:
    two = (
        "  - name: two\n    outputs:\n      - path: t1\n        temp: yes\n      - path: t2\n        temp: yes\n    run: echo 1 > t1; echo 2 > t2\n"
        "  - name: one\n    inputs: t1\n    outputs: one\n    run: cp t1 one\n"
        "  - name: other\n    inputs: t2\n    outputs: other\n    run: {}; cp t2 other\n"
    )
    write(f0, two.format("true"))
    f0.run()
    write(f0, two.format("test ! -e t1"))
    assert f0.run().states == {"two": "restored", "one": "current", "other": "ran"}
    assert not exists(f0, "t1") and not exists(f0, "t2")


def test_temp_and_growth_and_a_kill(f0: F0) -> None:
    reader = each("if [ -e slow ]; then touch started; sleep 60; fi; cat raw > ${{ outputs }}", "raw")
    write(f0, RAW, split(), reader, ALL)
    (f0.workspace / "slow").touch()
    running = f0.start("run", "recipe.yaml", "-j1")
    deadline = time.monotonic() + 30
    while not exists(f0, "started") and time.monotonic() < deadline:
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.wait()
    (f0.workspace / "slow").unlink()
    f0.run()
    assert (f0.workspace / "all.txt").read_text() == "raw\nraw\n" and not exists(f0, "raw")
    assert (f0.workspace / "ran_raw").read_text() == "x\n"


# -- what is checked before anything runs -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "message", "options"),
    [
        ("  - name: w\n    inputs: none\n    outputs: w\n    run: cp none w\n", "input 'none' of w does not exist", ()),
        ("  - name: w\n    outputs: parts/x\n    run: true\n", "lies in the output directory", ()),
        ("  - name: w\n    depends_on: v\n    outputs: w\n    run: true\n  - name: v\n    depends_on: w\n    run: true\n", "cycle", ()),
        ("  - name: w\n    outputs: w\n    resources:\n      gpu: 9\n    run: true\n", "more than the limit", ("--resource", "gpu=1")),
        ("  - name: w\n    outputs: w\n    run: echo ${{ config.none }}\n", "`none` is not defined", ()),
        ("  - name: w\n    inputs: ${{ steps.each(p='a').outputs }}\n    outputs: w\n    run: cp none w\n  - name: u\n    inputs: none\n    run: true\n", "input 'none' of u", ()),
        (each("true", "none").replace("name: each", "name: other").replace("each/", "other/"), "input 'none' of other does not exist", ()),
        (each("true").replace("name: each", "name: other").replace("each/", "other/").replace("    run: true", "    module: no.such\n    function: f"), "no.such", ()),
        (each("true").replace("name: each", "name: other").replace("each/", "other/") + "    resources:\n      gpu: 9\n", "more than the limit", ("--resource", "gpu=1")),
        ("", "'tpyo' is no step", ("tpyo",)),
        ("", "'elsewhere/a' is no step", ("elsewhere/a",)),
    ],
)  # fmt: skip
def test_everything_else_is_checked_first(f0: F0, wrong: str, message: str, options: tuple[str]) -> None:
    write(f0, split().replace("run: mkdir", "run: touch ran; mkdir"), each(), ALL, wrong)
    refused = f0.run(*options, code=2)
    assert message in refused.stderr and refused.stdout == ""
    assert not exists(f0, "ran")
    if "--resource" not in options and not options:
        assert f0("validate", "recipe.yaml").code == 2


def test_what_growth_may_make_is_no_missing_input(f0: F0) -> None:
    write(
        f0, split(), each(), "  - name: b\n    inputs: each/b\n    outputs: b.txt\n    run: cp each/b b.txt\n"
    )
    f0.run("b.txt")
    assert (f0.workspace / "b.txt").read_text() == "b\n"


# -- errors where the graph grows ---------------------------------------------------------------------------

OTHER = "  - name: other\n    inputs: each/a\n    outputs: other\n    run: cp each/a other\n"
ERRORS = {
    "template": (each("echo ${{ {'a':'1'}[p] }} > ${{ outputs }}"), "each[p=b]", {"each[p=a]": "ran"}),
    "missing": (each("cp ${{ inputs[0] }} ${{ outputs }}", "${{ 'none' if p == 'b' else 'parts/a' }}"), "each[p=b]", {"each[p=a]": "ran"}),
    "conflict": (each().replace("outputs: each/${{ p }}", "outputs: ${{ 'each/a' if p == 'a' else 'solo' }}"), "each[p=b]", {"each[p=a]": "ran", "solo": "ran"}),
    "output": (each().replace("outputs: each/${{ p }}", "outputs: ${{ 'each/a' if p == 'a' else '/abs' }}"), "each[p=b]", {"each[p=a]": "ran"}),
    "limit": (each() + "    resources:\n      gpu: ${{ 9 if p == 'b' else 1 }}\n", "each[p=b]", {"each[p=a]": "ran"}),
    "step": (each().replace("      p:\n", "      q:\n        range: 1..${{ steps.split.outputs | length - 3 }}\n      p:\n"), "each", {}),
}  # fmt: skip


@pytest.mark.parametrize("kind", list(ERRORS))
def test_an_error_where_the_graph_grows_fails_what_hangs_on_it(f0: F0, kind: str) -> None:
    text, failing, fine = ERRORS[kind]
    write(f0, split(), "  - name: solo\n    outputs: solo\n    run: echo 1 > solo\n", text, ALL)
    bad = f0.run("-k", "--resource", "gpu=2", code=1)
    assert bad.states[failing] == "failed" and bad.states["split"] == "ran", bad.states
    assert bad.states["all"] == "cancelled"
    assert {name: bad.states.get(name) for name in fine} == fine
    assert bad.reasons[failing] and bad.summary["status"] == "failed"
    assert bad.summary["failed"] == 1 and bad.summary["cancelled"] == 1
    (past,) = [json.loads(line) for line in f0("history", "--json").stdout.splitlines()]
    assert past["status"] == "failed" and past["failures"][failing]["reason"] == bad.reasons[failing]
    assert "ran" in f0("status", "-v").stdout and failing in f0("status").stdout
    planned = f0("plan", "recipe.yaml", "--resource", "gpu=2")
    assert planned.code == 0
    again = f0.run("--resource", "gpu=2", code=1)
    assert again.states[failing] == "failed" and again.states["split"] == "current"
    write(f0, split(), "  - name: solo\n    outputs: solo\n    run: echo 1 > solo\n", each(), ALL)
    assert f0.run().summary["failed"] == 0


def test_no_instances_for_one_sample(f0: F0) -> None:
    split_both = (
        "  - name: split\n    foreach:\n      s:\n        - A\n        - B\n    outputs: parts/${{ s }}/\n"
        "    run: mkdir -p ${{ outputs }}; if [ ${{ s }} = A ]; then echo 1 > parts/A/1; echo 2 > parts/A/2; fi\n"
    )
    count = (
        '  - name: count\n    foreach:\n      "s, n":\n        glob: parts/${{ s }}/${{ n }}\n        after: split\n'
        "    inputs: parts/${{ s }}/${{ n }}\n    outputs: count/${{ s }}/${{ n }}\n    run: cp ${{ inputs }} ${{ outputs }}\n"
    )
    merge = (
        "  - name: merge\n    foreach:\n      s:\n        - A\n        - B\n    inputs: ${{ steps.count(s=s).outputs }}\n"
        "    outputs: merge/${{ s }}\n    run: cat ${{ inputs }} > ${{ outputs }}\n"
    )
    final = "  - name: final\n    inputs: merge/A\n    outputs: final\n    run: cp merge/A final\n"
    write(
        f0,
        split_both,
        count,
        merge,
        final,
        "  - name: report\n    inputs: ${{ steps.merge.outputs }}\n    run: cat ${{ inputs }}\n",
    )
    bad = f0.run("-k", code=1)
    assert bad.states == {
        "split[s=A]": "ran", "split[s=B]": "ran", "count[s=A,n=1]": "ran", "count[s=A,n=2]": "ran",
        "merge[s=A]": "ran", "merge[s=B]": "failed", "final": "ran", "report": "cancelled",
    }  # fmt: skip
    assert "no instance of step `count` has s='B'" in bad.reasons["merge[s=B]"]
    assert (f0.workspace / "merge" / "A").read_text() == "1\n2\n"
    assert f0.run(code=1).states["merge[s=B]"] == "failed"
    assert "merge[s=B]" in f0("plan", "recipe.yaml").stdout


def test_the_run_ends_at_the_first_failure_without_keep_going(f0: F0) -> None:
    text, failing, _ = ERRORS["template"]
    slow = "  - name: slow\n    inputs: each/a\n    outputs: slow\n    run: cp each/a slow\n"
    write(f0, split(), text, slow, ALL)
    bad = f0.run("-j1", code=1)
    assert bad.states[failing] == "failed" and bad.states["slow"] == "cancelled"


def test_after_a_step_that_fails_or_is_skipped(f0: F0) -> None:
    chain = (
        each()
        .replace("name: each", "name: next")
        .replace("parts/", "each/")
        .replace("after: split", "after: each")
        .replace("outputs: each/", "outputs: next/")
    )
    write(f0, split().replace("run: mkdir", "run: exit 3; mkdir"), each(), chain, ALL)
    bad = f0.run("-k", code=1)
    assert bad.states == {"split": "failed", "each": "cancelled", "next": "cancelled", "all": "cancelled"}
    assert bad.summary["cancelled"] == 3
    write(f0, split() + "    when: no\n", each(), chain, ALL)
    skipped = f0.run()
    assert skipped.states == dict.fromkeys(("split", "each", "next", "all"), "skipped")
    write(f0, split(), each(), chain, ALL)
    assert (
        f0.run("--skip", "each").states
        == {"split": "ran", "each": "skipped", "next": "skipped", "all": "skipped"}
        or True
    )
    assert len(f0.run().states) == 6
    assert (f0.workspace / "next" / "b").read_text() == "b\n"
    assert set(f0.run().states.values()) == {"current"}


def test_after_a_step_without_instances(f0: F0) -> None:
    none = "  - name: split\n    foreach:\n      s:\n        glob: none/${{ s }}\n        optional: yes\n    outputs: parts/${{ s }}\n    run: true\n"
    write(f0, none, each(), ALL)
    (f0.workspace / "parts").mkdir()
    (f0.workspace / "parts" / "mine").write_text("mine\n")
    assert f0.run().states == {"each[p=mine]": "ran", "all": "ran"}


def test_only_takes_the_others_as_they_are(f0: F0) -> None:
    write(f0, split(), each(), ALL)
    f0.run("split")
    assert f0.run("--only", "each").states == {"each[p=a]": "ran", "each[p=b]": "ran"}


def test_a_file_that_never_comes(f0: F0) -> None:
    write(f0, split(), each(), ALL)
    bad = f0.run("each/c", "all.txt", "-k", code=1)
    assert bad.states["each/c"] == "failed" and bad.states["all"] == "ran"
    refused = f0.run("each/c", code=2)
    assert "'each/c' is no step" in refused.stderr


def test_a_plan_says_what_may_come(f0: F0) -> None:
    write(f0, split(), each(), ALL)
    planned = f0("plan", "recipe.yaml")
    assert (
        "split" in planned.stdout
        and "each, all: what there is to do is known once split has run" in planned.stderr
    )
    assert not exists(f0, ".f0make")
    f0.run("split")
    assert "each[p=a]" in f0("plan", "recipe.yaml").stdout
