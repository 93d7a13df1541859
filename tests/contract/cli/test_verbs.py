"""The other verbs from outside: what they print, and that those that only look change nothing."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.support.f0 import F0

WORDS = """\
config:
  limit: 10
steps:
  - name: count
    description: Count words
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

ALL = {"count[book=moby]", "count[book=emma]", "total"}


@pytest.fixture
def words(f0: F0) -> F0:
    """Two texts to count."""
    f0.recipe(WORDS)
    f0.write("texts/moby.txt", "Call me Ishmael\n")
    f0.write("texts/emma.txt", "handsome clever and rich\n")
    return f0


def picture(root: Path) -> dict[str, tuple[int, int, bytes]]:
    """Everything below ``root``: path -> mode, mtime and content."""
    found = {}
    for directory, _, files in os.walk(root):
        for path in [Path(directory), *(Path(directory) / name for name in files)]:
            stat = path.lstat()
            found[str(path)] = (stat.st_mode, stat.st_mtime_ns, path.read_bytes() if path.is_file() else b"")
    return found


@pytest.mark.parametrize("ran_before", [False, True])
@pytest.mark.parametrize(
    "line",
    [
        "plan recipe.yaml",
        "plan recipe.yaml --json",
        "run recipe.yaml -n",
        "why recipe.yaml total",
        "graph recipe.yaml --dot",
        "graph recipe.yaml --html",
        "list recipe.yaml",
        "status recipe.yaml",
        "history recipe.yaml",
        "context recipe.yaml",
        "clean recipe.yaml --dry-run",
        "cache stats",
    ],
)
def test_looking_changes_nothing(words: F0, line: str, ran_before: bool) -> None:
    if ran_before:
        words.run()
        words.write("texts/moby.txt", "something else entirely\n")
    before = picture(words.workspace)
    result = words(*line.split())
    assert result.code == 0, result.stderr
    assert picture(words.workspace) == before


def test_plan_says_what_and_why(words: F0) -> None:
    result = words("plan", "recipe.yaml")
    assert {line.split()[1] for line in result.stdout.splitlines()} == ALL
    words.run()
    assert words("plan", "recipe.yaml").stdout == ""
    words.write("texts/moby.txt", "x y z z y\n")
    result = words("plan", "recipe.yaml")
    assert re.fullmatch(
        r"run +count\[book=moby\]  \(.*texts/moby\.txt.*\)\nrun +total  \(.+\)\n", result.stdout
    )
    assert "2 run, 1 current" in result.stderr


def test_plan_in_json_has_the_lines_of_a_run(words: F0) -> None:
    words.run()
    words.write("texts/moby.txt", "x y z z y\n")
    (words.workspace / "counts/emma.txt").unlink()
    result = words("plan", "recipe.yaml", "--json")
    assert [event["event"] for event in result.events] == ["start", "step", "step", "step", "summary"]
    assert result.states == {"count[book=moby]": "run", "count[book=emma]": "restore", "total": "run"}
    assert (result.summary["run"], result.summary["restore"], result.summary["current"]) == (2, 1, 0)
    assert result.summary["ran"] == 0


def test_plan_can_tell_by_its_exit_code(words: F0) -> None:
    assert words("plan", "recipe.yaml", "--exit-code").code == 1
    assert words("plan", "recipe.yaml").code == 0
    words.run()
    assert words("plan", "recipe.yaml", "--exit-code").code == 0
    (words.workspace / "total.txt").unlink()
    assert words("plan", "recipe.yaml", "--exit-code").code == 1
    assert words("plan", "recipe.yaml", "count", "--exit-code").code == 0


def test_why_shows_each_part_with_old_and_new(words: F0) -> None:
    words.run()
    words.recipe(WORDS.replace("wc -w", "wc -c"))
    result = words("why", "recipe.yaml", "count[book=moby]")
    assert result.code == 0
    assert result.stdout.startswith("run ")
    assert re.search(r"^    old: .*wc -w", result.stdout, re.M | re.S)
    assert re.search(r"wc -c", result.stdout)
    found = words("why", "recipe.yaml", "counts/moby.txt", "--json").events
    assert [event["step"] for event in found] == ["count[book=moby]"]
    (change,) = found[0]["changes"]
    assert "wc -w" in change["old"] and "wc -c" in change["new"]


def test_why_of_a_step_explains_all_its_instances(words: F0) -> None:
    result = words("why", "recipe.yaml", "count", "--json")
    assert {event["step"] for event in result.events} == ALL - {"total"}


GROWING = """\
steps:
  - name: split
    outputs: parts/
    run: mkdir -p parts; echo 1 > parts/one.txt
  - name: each
    foreach:
      n:
        glob: parts/${{ n }}.txt
        after: split
    inputs: parts/${{ n }}.txt
    outputs: out/${{ n }}.txt
    run: cp ${{ inputs }} ${{ outputs }}
"""


def test_what_is_known_only_later_is_said(f0: F0) -> None:
    f0.recipe(GROWING)
    said = "each: what there is to do is known once split has run"
    plan = f0("plan", "recipe.yaml")
    assert plan.stdout == "run      split  (never run)\n" and said in plan.stderr
    why = f0("why", "recipe.yaml", "each")
    assert (why.code, why.stdout) == (0, "") and said in why.stderr and "yours" not in why.stderr
    found = json.loads(f0("graph", "recipe.yaml", "--json").stdout)
    assert found["edges"] == [{"from": "split", "to": "each"}]
    assert "after split" in f0("list", "recipe.yaml").stdout
    f0.run()
    for verb in ("plan", "graph"):
        assert said not in f0(verb, "recipe.yaml").stderr
    found = json.loads(f0("graph", "recipe.yaml", "--json").stdout)
    assert found["edges"] == [{"from": "split", "to": "each[n=one]"}]
    assert f0("clean", "recipe.yaml", "--orphans").stdout == ""
    assert f0("clean", "recipe.yaml").stdout == "removed out/one.txt\nremoved parts\n"


def test_a_plan_takes_no_fingerprint_and_says_so(f0: F0) -> None:
    f0.recipe(
        "steps:\n  - name: s\n    outputs: o\n    run: echo > o\n    fingerprint:\n      - cat version; echo x >> taken\n"
    )
    f0.write("version", "1\n")
    f0.run()
    taken = f0.read("taken")
    f0.write("version", "2\n")
    result = f0("plan", "recipe.yaml", "-v")
    assert result.stdout == "current  s  (up to date)\n"
    assert "fingerprints were not taken" in result.stderr and "decided on s" in result.stderr
    assert f0.read("taken") == taken
    assert f0.run().states == {"s": "ran"}


def test_why_of_a_source_says_that_it_is_yours(words: F0) -> None:
    result = words("why", "recipe.yaml", "texts/moby.txt")
    assert result.code == 0 and "no step makes texts/moby.txt" in result.stderr


def test_validate_counts(words: F0) -> None:
    assert words("validate", "recipe.yaml").stdout == "recipe.yaml: ok (2 steps, 3 instances)\n"


def test_validate_runs_nothing_of_a_recipe(f0: F0) -> None:
    f0.write("mod.py", "open('imported', 'w')\n\n\ndef f():\n    pass\n")
    f0.recipe(
        "steps:\n  - name: p\n    module: mod\n    function: f\n    fingerprint:\n      - touch ran\n"
        "  - name: s\n    outputs: o\n    run: touch ran; touch o\n"
    )
    for verb in ("validate", "plan", "graph", "list"):
        assert f0(verb, "recipe.yaml").code == 0
    assert f0("why", "recipe.yaml", "p").code == 0
    # validate may remember which steps are sound
    assert sorted(set(os.listdir(f0.workspace)) - {".f0make"}) == ["mod.py", "recipe.yaml"]


def test_list_shows_steps_and_targets(words: F0) -> None:
    words.recipe("targets:\n  - total\n" + WORDS)
    result = words("list", "recipe.yaml")
    assert re.search(r"^count +2  Count words$", result.stdout, re.M)
    assert re.search(r"^total +1$", result.stdout, re.M)
    assert "targets: total" in result.stdout
    found = words("list", "recipe.yaml", "--json").events
    assert [(e["step"], e["instances"], e["target"]) for e in found] == [
        ("count", 2, False),
        ("total", 1, True),
    ]


def test_graph_draws_instances_and_steps(words: F0) -> None:
    dot = words("graph", "recipe.yaml", "--dot").stdout
    assert '"count[book=moby]" -> "total";' in dot
    steps = words("graph", "recipe.yaml", "--dot", "--steps").stdout
    assert '"count" -> "total";' in steps and "book" not in steps
    found = json.loads(words("graph", "recipe.yaml", "--json").stdout)
    assert {node["name"]: node["status"] for node in found["nodes"]} == dict.fromkeys(ALL, "run")
    assert {"from": "count[book=emma]", "to": "total"} in found["edges"]
    words.run()
    found = json.loads(words("graph", "recipe.yaml", "--json").stdout)
    assert {node["status"] for node in found["nodes"]} == {"current"}
    assert words("graph", "recipe.yaml", "--mermaid").stdout.startswith("flowchart LR\n")
    only = json.loads(words("graph", "recipe.yaml", "count[book=moby]", "--json").stdout)
    assert [node["name"] for node in only["nodes"]] == ["count[book=moby]"]


def test_graph_needs_no_graphviz(words: F0) -> None:
    for path in (os.environ["PATH"], "/nonexistent"):
        result = words("graph", "recipe.yaml", "--svg", env={"PATH": path})
        root = ElementTree.fromstring(result.stdout)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        shown = {"".join(t.itertext()) for t in root.iter("{http://www.w3.org/2000/svg}text")}
        assert shown == ALL


def test_graph_writes_a_file_whole_or_not_at_all(words: F0) -> None:
    result = words("graph", "recipe.yaml", "--html", "-o", "graph.html")
    assert (result.code, result.stdout) == (0, "")
    assert words.read("graph.html").startswith("<!DOCTYPE html>")
    wrong = words("graph", "recipe.yaml", "-o", "no/such/dir.dot")
    assert wrong.code == 2 and "no/such/dir.dot" in wrong.stderr


def test_graph_of_two_large_steps_stays_small(f0: F0) -> None:
    loop = "    foreach:\n      n:\n        range: 1..70\n"
    f0.recipe(
        f"steps:\n  - name: a\n{loop}    outputs: a${{{{ n }}}}\n    run: touch a${{{{ n }}}}\n"
        f"  - name: b\n    depends_on:\n      - a\n{loop}    outputs: b${{{{ n }}}}\n    run: touch b${{{{ n }}}}\n"
    )
    found = json.loads(f0("graph", "recipe.yaml", "--json").stdout)
    assert len(found["nodes"]) == 141 and len(found["edges"]) == 140
    assert {"from": "a[n=7]", "to": "every a"} in found["edges"]
    assert {"from": "every a", "to": "b[n=7]"} in found["edges"]
    steps = json.loads(f0("graph", "recipe.yaml", "--json", "--steps").stdout)
    assert steps["edges"] == [{"from": "a", "to": "b"}]


def test_log_prints_what_a_step_printed(words: F0) -> None:
    words.run()
    assert words("log", "count[book=moby]").stdout == "counting moby\n"
    assert words("log", "counts/emma.txt", "recipe.yaml").stdout == "counting emma\n"
    assert words("log", "recipe.yaml", "counts/emma.txt").stdout == "counting emma\n"
    both = words("log", "count", "--recipe", "recipe.yaml").stdout
    assert both.split("==>")[1:] == [
        " count[book=moby] <==\ncounting moby\n",
        " count[book=emma] <==\ncounting emma\n",
    ]
    silent = words("log", "total")
    assert (silent.code, silent.stdout) == (0, "") and "printed nothing" in silent.stderr
    wrong = words("log", "cuont")
    assert wrong.code == 2 and "count" in wrong.stderr


def test_log_of_a_failed_step_outlives_its_recipe(f0: F0) -> None:
    f0.recipe("steps:\n  - name: bad\n    outputs: o\n    run: echo so bad; exit 3\n")
    f0.run(code=1)
    (f0.workspace / "recipe.yaml").unlink()
    assert f0("log", "bad").stdout == "so bad\n"


def test_log_keeps_any_bytes(f0: F0) -> None:
    f0.recipe("steps:\n  - name: bytes\n    always: yes\n    run: printf '\\377\\000x'\n")
    f0.run()
    assert f0("log", "bytes").stdout == "\udcff\0x"


@pytest.mark.parametrize(
    "words",
    [
        *("status recpe.yaml", "status recpe.yaml --json", "history recpe.yaml", "history recpe.yaml --json"),
        *("log copy recpe.yaml", "context recpe.yaml", "report recpe.yaml -o page.html"),
    ],
)
def test_looking_back_at_a_recipe_that_never_was(f0: F0, words: str) -> None:
    f0.write("recipe.yaml", "steps:\n  - name: copy\n    outputs: x\n    run: echo > x\n")
    f0.run()
    refused = f0(*words.split())
    assert refused.code == 2
    assert refused.stderr == "recpe.yaml: there is no such file (did you mean 'recipe.yaml'?)\n"
    assert not refused.stdout
    gone = f0.workspace / "recipe.yaml"
    gone.rename(f0.workspace / "aside")
    assert "1 ran" in f0("status", "recipe.yaml").stdout
    assert "recipe.yaml" in f0("history", "recipe.yaml").stdout


def test_status_tells_how_the_last_run_ended(f0: F0) -> None:
    assert "no run yet" in f0("status").stderr
    f0.recipe("steps:\n  - name: good\n    run: 'true'\n", "good.yaml")
    f0.recipe(
        "steps:\n  - name: bad\n    outputs: o\n    run: echo why; exit 3\n"
        "  - name: after\n    inputs: o\n    outputs: p\n    run: cp o p\n",
        "bad.yaml",
    )
    f0.run(recipe="good.yaml")
    f0.run(recipe="bad.yaml", code=1)
    last = f0("status")
    assert last.code == 0
    assert last.stdout.splitlines()[0].startswith("bad.yaml")
    assert re.search(r"^failed    bad  exit code 3  \(\.f0make/logs/bad.*\)$", last.stdout, re.M)
    assert re.search(r"^cancelled after$", last.stdout, re.M)
    assert "1 ran" in f0("status", "good.yaml").stdout
    assert f0("status", "--recipe", "bad.yaml", "--json").events[0]["failed"] == 1


def test_history_lists_runs(words: F0) -> None:
    assert "no run yet" in words("history").stderr
    words.run()
    words.run()
    words.run("--rehash")
    found = words("history", "--json").events
    assert [run["ran"] for run in found] == [3, 0, 0]
    assert len({run["run"] for run in found}) == 3
    lines = words("history").stdout.splitlines()
    assert len(lines) == 3 and "3 ran" in lines[0] and "3 current" in lines[1]
    assert words("history", "other.yaml").stdout == ""


CONTEXT = """\
steps:
  - name: first
    module: mod
    function: first
  - name: second
    module: mod
    function: second
    depends_on: first
"""

MODULE = """\
def first(ctx):
    ctx.set("n", 1, who="the first")
    ctx.set("text", "Zoë")


def second(ctx):
    ctx.set("n", ctx.get("n") + 1)
"""


def test_context_shows_values_and_who_set_them(f0: F0) -> None:
    f0.recipe(CONTEXT)
    f0.write("mod.py", MODULE)
    f0.run()
    result = f0("context")
    assert re.search(r'^text = "Zoë"$', result.stdout, re.M)
    assert re.search(
        r"^n = 2\n  .* by the first in first: 1\n  .* by second in second: 2$", result.stdout, re.M
    )
    n, _ = f0("context", "recipe.yaml", "--json").events
    assert (n["key"], n["value"]) == ("n", 2)
    assert [(h["step"], h["who"], h["before"], h["after"]) for h in n["history"]] == [
        ("first", "the first", None, 1),
        ("second", "second", 1, 2),
    ]


def test_clean_removes_what_f0make_made_and_nothing_else(words: F0) -> None:
    words.run()
    words.write("counts/mine.txt", "mine\n")
    words.write("total.txt", "altered\n")
    dry = words("clean", "recipe.yaml", "--dry-run")
    assert "would remove counts/emma.txt" in dry.stdout and words.exists("counts/emma.txt")
    result = words("clean", "recipe.yaml")
    assert result.code == 0
    assert "total.txt was altered" in result.stderr
    assert not words.exists("counts/emma.txt") and not words.exists("counts/moby.txt")
    assert words.read("counts/mine.txt") == "mine\n" and words.read("total.txt") == "altered\n"
    assert words.exists("texts/moby.txt")
    again = words.run()
    assert again.states == dict.fromkeys(ALL, "restored")
    assert words("clean", "recipe.yaml").code == 0
    assert words("clean", "recipe.yaml").stdout == ""


def test_clean_orphans_takes_only_what_no_step_declares(words: F0) -> None:
    words.run()
    words.recipe(WORDS.replace("        - emma\n", ""))
    result = words("clean", "recipe.yaml", "--orphans")
    assert result.stdout == "removed counts/emma.txt\n"
    assert words.exists("counts/moby.txt") and words.exists("total.txt")
    assert words("clean", "recipe.yaml", "--orphans").stdout == ""


def test_clean_leaves_other_recipes_alone(words: F0) -> None:
    words.recipe("steps:\n  - name: other\n    outputs: other.txt\n    run: echo > other.txt\n", "other.yaml")
    words.run()
    words.run(recipe="other.yaml")
    assert "other.txt" not in words("clean", "recipe.yaml", "--orphans").stdout
    words("clean", "recipe.yaml")
    assert words.exists("other.txt") and not words.exists("total.txt")


def test_clean_keeps_what_a_pattern_step_made_on_demand(f0: F0) -> None:
    f0.recipe(
        "steps:\n  - name: copy\n    inputs: ${{ name }}.in\n    outputs: ${{ name }}.out\n"
        "    run: cp ${{ inputs }} ${{ outputs }}\n  - name: base\n    outputs: base.txt\n    run: echo > base.txt\n"
    )
    f0.write("a.in", "a\n")
    f0.run("a.out")
    assert f0("clean", "recipe.yaml", "--orphans").stdout == ""
    assert f0("clean", "recipe.yaml").stdout == "removed a.out\n"


def test_cache_can_be_measured_trimmed_and_checked(words: F0) -> None:
    words.run()
    stats = words("cache", "stats", "--json").events[0]
    assert stats["blobs"] == 3 and stats["bytes"] > 0
    assert "blobs      3" in words("cache", "stats").stdout
    assert words("cache", "verify").code == 0
    blob = next((words.workspace / ".f0make/cache/cas").glob("*/*"))
    blob.chmod(0o644)
    blob.write_bytes(b"damaged")
    bad = words("cache", "verify")
    assert bad.code == 1 and "corrupt" in bad.stdout
    assert words("cache", "verify").code == 0
    trimmed = words("cache", "gc", "--size", "0", "--json").events[0]
    assert trimmed["removed"] == 2 and trimmed["bytes"] == 0
    assert words("cache", "gc").code == 2
    assert words("cache", "stats", "--cache", "nowhere").code == 2


def test_cache_of_another_directory(words: F0) -> None:
    words.run("--cache", "shared")
    assert words("cache", "stats", "--cache", "shared", "--json").events[0]["blobs"] == 3


def test_init_gives_a_working_recipe_once(f0: F0) -> None:
    assert f0("init").code == 0
    assert f0.run().summary["status"] == "ok"
    assert f0.read("total.txt") == "9\n"
    again = f0("init")
    assert again.code == 2 and "not empty" in again.stderr
    elsewhere = f0.workspace / "sub"
    elsewhere.mkdir()
    assert f0("init", "-C", "sub").code == 0
    assert f0("plan", "recipe.yaml", "-C", "sub").code == 0


def test_clean_needs_no_inputs(f0: F0) -> None:
    """An orphan that a glob names alone, and an input that is gone, keep a run from starting; clean is the remedy."""
    made = "  - name: a\n    outputs: x/1.txt\n    run: echo > x/1.txt\n"
    rest = (
        "  - name: g\n    inputs: x/*.txt\n    outputs: g.txt\n    run: cat x/*.txt > g.txt\n"
        "  - name: h\n    inputs: in.txt\n    outputs: h.txt\n    run: cp in.txt h.txt\n"
    )
    f0.write("recipe.yaml", "steps:\n" + made + rest)
    f0.write("in.txt", "")
    f0.run()
    f0.write("recipe.yaml", "steps:\n" + rest)
    (f0.workspace / "in.txt").unlink()
    assert f0("run", "recipe.yaml").code == 2
    assert f0("clean", "recipe.yaml", "--orphans").stdout == "removed x/1.txt\n"
    assert "removed h.txt" in f0("clean", "recipe.yaml").stdout
