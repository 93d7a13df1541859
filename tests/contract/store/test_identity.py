"""Recipes of one workspace never take each other's steps for their own, nor their files for orphans."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from tests.support.f0 import F0

GET = """\
steps:
  - name: get
    foreach:
      n:
        range: 1..2
    outputs: d/${{ n }}.txt
    run: echo "${{ n }}" > "${{ outputs }}"
"""
SUM = """\
steps:
  - name: sum
    inputs: d/*.txt
    outputs: sum.txt
    run: cat ${{ inputs }} > sum.txt
"""


def build(text: str, path: str = "out.txt", name: str = "build") -> str:
    return f"steps:\n  - name: {name}\n    outputs: {path}\n    run: echo {text}; echo {text} > {path}\n"


def write(f0: F0, **recipes: str) -> None:
    for name, text in recipes.items():
        (f0.workspace / f"{name}.yaml").write_text(text)


def read(f0: F0, path: str) -> str:
    return (f0.workspace / path).read_text()


def displaced(f0: F0) -> list[Path]:
    return [p for p in (f0.workspace / ".f0make" / "displaced").rglob("*") if p.is_file()]


def test_a_glob_sees_what_another_recipe_made(f0: F0) -> None:
    write(f0, get=GET, sum=SUM)
    f0.run(recipe="get.yaml")
    first = f0.run(recipe="sum.yaml")
    assert read(f0, "sum.txt") == "1\n2\n" and "gone" not in first.stderr
    assert f0.run(recipe="sum.yaml").states == {"sum": "current"}
    write(f0, get=GET.replace("1..2", "1..3"))
    f0.run(recipe="get.yaml")
    assert f0.run(recipe="sum.yaml").states == {"sum": "ran"}
    assert read(f0, "sum.txt") == "1\n2\n3\n"


def test_foreach_and_patterns_see_what_another_recipe_made(f0: F0) -> None:
    each = (
        "steps:\n  - name: each\n    foreach:\n      n:\n        glob: d/${{ n }}.txt\n    inputs: d/${{ n }}.txt\n"
        "    outputs: e/${{ n }}\n    run: cp ${{ inputs }} ${{ outputs }}\n"
        "  - name: up\n    inputs: d/${{ w }}.txt\n    outputs: ${{ w }}.up\n    run: tr 1 9 < ${{ inputs }} > ${{ outputs }}\n"
    )
    write(f0, get=GET, each=each)
    f0.run(recipe="get.yaml")
    ran = f0.run("each", "1.up", recipe="each.yaml")
    assert ran.states == {"each[n=1]": "ran", "each[n=2]": "ran", "up[w=1]": "ran"}
    assert read(f0, "1.up") == "9\n"


def test_a_recipe_still_leaves_out_what_its_own_step_no_longer_makes(f0: F0) -> None:
    both = GET + SUM.removeprefix("steps:\n")
    write(f0, both=both)
    f0.run(recipe="both.yaml")
    write(f0, both=both.replace("1..2", "2..2"))
    again = f0.run(recipe="both.yaml")
    assert read(f0, "sum.txt") == "2\n"
    assert "d/1.txt was made by get[n=1], which is gone" in again.stderr


def test_a_first_run_says_never_run(f0: F0) -> None:
    write(f0, a=build("a", "a.txt"), b=build("b", "b.txt"))
    f0.run(recipe="a.yaml")
    assert "never run" in f0("plan", "b.yaml").stdout
    assert "never run" in f0("why", "b.yaml", "build").stdout
    assert f0.run(recipe="b.yaml").reasons == {"build": "never run"}


def test_a_failure_is_that_of_its_own_recipe(f0: F0) -> None:
    write(f0, a="steps:\n  - name: build\n    outputs: a.txt\n    run: exit 1\n", b=build("b", "b.txt"))
    f0.run(recipe="a.yaml", code=1)
    assert f0.run(recipe="b.yaml").reasons == {"build": "never run"}
    assert f0.run(recipe="a.yaml", code=1).states == {"build": "failed"}
    assert "its last run failed" in f0("plan", "a.yaml").stdout


def test_what_never_ran_never_ran(f0: F0) -> None:
    """Also of instances whose inputs are yet to be made, in a plan, beside another recipe with steps of the same names."""
    write(
        f0, a=GET + SUM.removeprefix("steps:\n"), b=(GET + SUM.removeprefix("steps:\n")).replace("d/", "e/")
    )
    write(f0, b=read(f0, "b.yaml").replace("sum.txt", "total.txt"))
    for name in "ab":
        plan = f0("plan", f"{name}.yaml", "--json").events
        assert {e["reason"] for e in plan if e["event"] == "step"} == {"never run"}
        assert set(f0.run(recipe=f"{name}.yaml").reasons.values()) == {"never run"}


def test_what_two_recipes_make_in_turn(f0: F0) -> None:
    """Each run restores its own; nothing counts as the user's; that the path changes hands is said."""
    write(f0, a=build("a"), b=build("b"))
    f0.run(recipe="a.yaml")
    second = f0.run(recipe="b.yaml")
    assert "out.txt, made by a.yaml before, now belongs to b.yaml" in second.stderr
    for turn in range(2):
        for name in "ab":
            back = f0.run(recipe=f"{name}.yaml")
            assert back.states == {"build": "restored"}, (turn, name)
            assert read(f0, "out.txt") == f"{name}\n"
            assert "now belongs to" in back.stderr
    assert displaced(f0) == []
    assert f0.run(recipe="b.yaml").states == {"build": "current"}


def test_what_two_recipes_make_alike(f0: F0) -> None:
    write(f0, a=build("same"), b=build("same"))
    f0.run(recipe="a.yaml")
    second = f0.run(recipe="b.yaml")
    assert second.states == {"build": "current"} and "now belongs to b.yaml" in second.stderr
    assert f0.run(recipe="a.yaml").states == {"build": "current"}
    write(f0, a=build("other", "else.txt"))
    assert f0("clean", "a.yaml", "--orphans").stdout == "" and read(f0, "out.txt") == "same\n"


def test_orphans_are_those_of_the_recipe_itself(f0: F0) -> None:
    write(f0, a=build("a", "a.txt"), b=build("b", "b.txt"))
    f0.run(recipe="a.yaml")
    f0.run(recipe="b.yaml")
    write(f0, b=build("b", "new.txt", "renamed"))
    assert f0("clean", "b.yaml", "--orphans", "--dry-run").stdout == "would remove b.txt\n"
    assert f0("clean", "b.yaml", "--orphans").stdout == "removed b.txt\n"
    assert read(f0, "a.txt") == "a\n"
    (f0.workspace / "a.yaml").unlink()
    assert f0("clean", "b.yaml").stdout == ""
    assert f0("clean", "b.yaml", "--orphans").stdout == "removed a.txt\n"


def test_clean_leaves_what_belongs_to_another_recipe_now(f0: F0) -> None:
    write(f0, a=build("a"), b=build("b"))
    f0.run(recipe="a.yaml")
    f0.run(recipe="b.yaml")
    left = f0("clean", "a.yaml")
    assert left.stdout == "" and "out.txt belongs to b.yaml now" in left.stderr
    assert f0("clean", "b.yaml").stdout == "removed out.txt\n"


def test_what_another_recipe_still_makes_is_no_orphan(f0: F0) -> None:
    """Both include the step; the one whose run was the last leaves it out."""
    include = "include:\n  - common.yaml\n"
    write(
        f0,
        common=build("c", "c.txt", "common"),
        a=include + build("a", "a.txt"),
        b=include + build("b", "b.txt"),
    )
    f0.run(recipe="a.yaml")
    f0.run(recipe="b.yaml")
    write(f0, b=build("b", "b.txt"))
    for _ in range(2):
        kept = f0("clean", "b.yaml", "--orphans")
        assert kept.stdout == "" and "c.txt is made by a.yaml, too" in kept.stderr
        assert read(f0, "c.txt") == "c\n"
    write(f0, a=build("a", "a.txt"))
    assert f0("clean", "b.yaml", "--orphans").stdout == "removed c.txt\n"


def test_a_renamed_recipe_runs_nothing_and_owns_its_files(f0: F0) -> None:
    write(f0, old=GET + SUM.removeprefix("steps:\n"))
    f0.run(recipe="old.yaml")
    (f0.workspace / "old.yaml").rename(f0.workspace / "new.yaml")
    assert f0("clean", "new.yaml", "--orphans", "--dry-run").stdout == ""
    moved = f0.run(recipe="new.yaml")
    assert set(moved.states.values()) == {"current"}
    assert moved.stderr.count("now belong to new.yaml") == 1 and "old.yaml (gone)" in moved.stderr
    write(f0, other=build("x", "x.txt"))
    assert f0("clean", "other.yaml", "--orphans").stdout == ""
    write(f0, new=build("z", "z.txt"))
    assert f0("clean", "new.yaml", "--orphans", "--dry-run").stdout.count("would remove d/") == 2


@pytest.mark.parametrize("way", ["./a.yaml", "{here}/a.yaml", "{link}/a.yaml"])
def test_a_recipe_is_the_same_however_it_is_written(f0: F0, tmp_path: Path, way: str) -> None:
    link = tmp_path / "elsewhere"
    link.symlink_to(f0.workspace)
    write(f0, a=build("a", "a.txt"))
    f0.run(recipe="a.yaml")
    write(f0, a=build("new", "b.txt"))
    again = f0.run(recipe=way.format(here=f0.workspace, link=link))
    assert again.reasons["build"].startswith("command changed"), again.reasons
    assert f0("clean", "a.yaml", "--orphans").stdout == "removed a.txt\n"


def test_logs_of_steps_of_the_same_name(f0: F0) -> None:
    write(f0, a=build("alpha", "a.txt"), b=build("beta", "b.txt"))
    f0.run(recipe="a.yaml")
    f0.run(recipe="b.yaml")
    assert f0("log", "build", "a.yaml").stdout == "alpha\n"
    assert f0("log", "build", "b.yaml").stdout == "beta\n"
    assert f0("log", "a.txt").stdout == "alpha\n"
    last = f0("log", "build")
    assert last.stdout == "beta\n" and "of b.yaml; a.yaml was run here, too" in last.stderr
    (f0.workspace / "a.yaml").unlink()
    assert f0("log", "build", "a.yaml").stdout == "alpha\n"


def test_looking_back_where_there_are_several_recipes(f0: F0) -> None:
    put = (
        "steps:\n  - name: put\n    module: {0}\n    function: put\n    outputs: {0}.txt\n",
        "from pathlib import Path\n\ndef put(ctx):\n    ctx.set('who', '{0}')\n    Path('{0}.txt').write_text('')\n",
    )
    for name in ("one", "two"):
        write(f0, **{name: put[0].format(name)})
        (f0.workspace / f"{name}.py").write_text(put[1].format(name))
        f0.run(recipe=f"{name}.yaml")
    assert json.loads(f0("context", "one.yaml", "--json").stdout)["value"] == "one"
    mixed = f0("context", "--json")
    assert json.loads(mixed.stdout)["value"] == "two" and "of two.yaml; one.yaml was run here" in mixed.stderr
    status = f0("status")
    assert status.stdout.startswith("two.yaml") and "of two.yaml; one.yaml was run here" in status.stderr
    assert f0("status", "./one.yaml").stdout.startswith("one.yaml")
    assert len(f0("history", "one.yaml").stdout.splitlines()) == 1
    (past,) = [json.loads(line) for line in f0("history", "one.yaml", "--json").stdout.splitlines()]
    assert list(past["instances"]) == ["put"]
    page = f0("report", "one.yaml").stdout
    assert "one.yaml" in page and "two.yaml" not in page


def test_a_crash_is_cleaned_up_by_whichever_recipe_runs_next(f0: F0) -> None:
    slow = (
        "steps:\n  - name: build\n    outputs: a.txt\n    run: echo half > a.txt; touch started; sleep 60\n"
    )
    write(f0, a=slow, b=build("b", "b.txt"))
    running = f0.start("run", "a.yaml")
    deadline = time.monotonic() + 30
    while not (f0.workspace / "started").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.wait()
    f0.run(recipe="b.yaml")
    assert not (f0.workspace / "a.txt").exists()
    assert read(f0, "b.txt") == "b\n"
    assert f0("plan", "b.yaml", "--json").stdout.count('"current"') >= 1
    write(f0, a=slow.replace("; touch started; sleep 60", ""))
    assert f0.run(recipe="a.yaml").states == {"build": "ran"}


def test_a_temp_file_of_one_recipe_that_another_keeps(f0: F0) -> None:
    temp = (
        "steps:\n  - name: raw\n    outputs:\n      - path: raw\n        temp: yes\n    run: echo 1 > raw\n"
        "  - name: end\n    inputs: raw\n    outputs: {0}\n    run: cp raw {0}\n"
    )
    write(f0, a=temp.format("a.txt"), b="steps:\n  - name: raw\n    outputs: raw\n    run: echo 1 > raw\n")
    f0.run(recipe="a.yaml")
    assert not (f0.workspace / "raw").exists()
    f0.run(recipe="b.yaml")
    assert read(f0, "raw") == "1\n"
    f0.run(recipe="a.yaml")
    write(f0, a=temp.format("c.txt"))
    f0.run(recipe="a.yaml")
    assert read(f0, "raw") == "1\n", "b.yaml made it and keeps it"
    assert f0.run(recipe="b.yaml").states == {"raw": "current"}
