"""When an instance must run: each row of the table, judged by what was really executed."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.contract_tools import TRACE, Traced
from tests.support.f0 import F0

WORDS = f"""\
# Counts words.
config:
  unit: words
  unused: nothing
steps:
  - name: count
    description: Count the words of one text
    foreach:
      book:
        - moby
        - emma
    inputs: texts/${{{{ book }}}}.txt
    outputs: counts/${{{{ book }}}}.txt
    resources:
      cpu: 1
    run: |
      {TRACE}
      echo $(wc -w < ${{{{ inputs }}}}) ${{{{ config.unit }}}} > ${{{{ outputs }}}}
  - name: total
    inputs: ${{{{ steps.count.outputs }}}}
    outputs: total.txt
    run: |
      {TRACE}
      cat ${{{{ inputs }}}} | awk '{{n += $1}} END {{print n}}' > ${{{{ outputs }}}}
"""
MOBY, EMMA = "count[book=moby]", "count[book=emma]"
ALL = sorted([MOBY, EMMA, "total"])


@pytest.fixture
def words(f0: F0) -> Traced:
    """Two texts, counted."""
    traced = Traced(f0.workspace)
    traced.recipe(WORDS)
    traced.write("texts/moby.txt", "Call me Ishmael\n")
    traced.write("texts/emma.txt", "handsome clever and rich\n")
    traced.run()
    assert traced.executed() == ALL and traced.read("total.txt") == "7\n"
    return traced


def unchanged(f0: Traced) -> None:
    """A run does nothing at all."""
    result = f0.run()
    assert set(result.states.values()) == {"current"} and f0.executed() == []
    assert result.summary["current"] == len(result.states)


def test_nothing_happened(words: Traced) -> None:
    for _ in range(3):
        unchanged(words)


def test_touched_inputs_and_outputs_are_no_change(words: Traced) -> None:
    for path in ("texts/moby.txt", "texts/emma.txt", "total.txt", "recipe.yaml"):
        (words.workspace / path).touch()
    unchanged(words)
    for path in ("texts/moby.txt", "counts/emma.txt"):
        os.utime(words.workspace / path, (0, 0))
    unchanged(words)
    for path in ("texts/emma.txt", "counts/moby.txt"):
        os.utime(words.workspace / path, (time.time() + 10**6,) * 2)
    unchanged(words)


def test_an_input_written_again_with_the_same_content_is_no_change(words: Traced) -> None:
    words.remove("texts/moby.txt")
    words.write("texts/moby.txt", "Call me Ishmael\n")
    unchanged(words)


def git(f0: F0, *args: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *args], cwd=f0.workspace, check=True, capture_output=True)


def test_git_branches(words: Traced) -> None:
    git(words, "init", "-q", "-b", "one")
    git(words, "add", "recipe.yaml", "texts")
    git(words, "commit", "-q", "-m", "one")
    status = subprocess.run(
        ["git", "status", "--porcelain"], cwd=words.workspace, check=True, capture_output=True, text=True
    )
    assert ".f0make" not in status.stdout
    git(words, "checkout", "-q", "-b", "two")
    words.write("texts/moby.txt", "one two three four five\n")
    git(words, "commit", "-q", "-a", "-m", "two")
    # To another branch and back, without a run in between.
    git(words, "checkout", "-q", "one")
    unchanged(words)
    # A new branch runs what it must, a branch visited before is restored.
    git(words, "checkout", "-q", "two")
    assert words.run().states == {MOBY: "ran", EMMA: "current", "total": "ran"}
    assert words.executed() == [MOBY, "total"] and words.read("total.txt") == "9\n"
    for branch, total in (("one", "7\n"), ("two", "9\n")):
        git(words, "checkout", "-q", branch)
        assert words.run().states == {MOBY: "restored", EMMA: "current", "total": "restored"}
        assert words.executed() == [] and words.read("total.txt") == total
        assert words.displaced() == {}


def test_a_workspace_that_was_moved(words: Traced) -> None:
    moved = words.workspace.parent / "moved to another place"
    words.workspace.rename(moved)
    unchanged(Traced(moved))


def test_a_workspace_that_was_copied(words: Traced) -> None:
    copy = words.workspace.parent / "copy"
    shutil.copytree(words.workspace, copy, symlinks=True, copy_function=shutil.copy)
    unchanged(Traced(copy))
    unchanged(words)
    (copy / "texts/moby.txt").write_text("only four words here\n")
    assert Traced(copy).run().states == {MOBY: "ran", EMMA: "current", "total": "ran"}
    words.executed()
    unchanged(words)


def test_a_changed_input_runs_what_depends_on_it(words: Traced) -> None:
    words.write("texts/emma.txt", "and\n")
    result = words.run()
    assert result.states == {EMMA: "ran", MOBY: "current", "total": "ran"}
    assert words.executed() == [EMMA, "total"] and words.read("total.txt") == "4\n"
    assert "texts/emma.txt" in result.reasons[EMMA] and "counts/emma.txt" in result.reasons["total"]


def test_early_cutoff(words: Traced) -> None:
    words.write("texts/moby.txt", "three other words\n")
    assert words.run().states == {MOBY: "ran", EMMA: "current", "total": "current"}
    assert words.executed() == [MOBY]
    unchanged(words)


def test_an_input_changed_back_is_restored(words: Traced) -> None:
    words.write("texts/moby.txt", "one two three four\n")
    words.run()
    words.executed()
    words.write("texts/moby.txt", "Call me Ishmael\n")
    assert words.run().states == {MOBY: "restored", EMMA: "current", "total": "restored"}
    assert words.executed() == [] and words.read("total.txt") == "7\n"
    unchanged(words)


def test_another_workspace_with_the_same_cache(f0: F0) -> None:
    places = [Traced(f0.workspace / name) for name in ("one", "two")]
    for place in places:
        place.recipe(WORDS)
        place.write("texts/moby.txt", "Call me Ishmael\n")
        place.write("texts/emma.txt", "handsome clever and rich\n")
    one, two = places
    one.run("--cache", "../cache")
    one.executed()
    result = two.run("--cache", "../cache")
    assert result.states == {MOBY: "restored", EMMA: "restored", "total": "restored"}
    assert two.executed() == [] and two.read("total.txt") == "7\n"
    assert two.run("--cache", "../cache").summary["current"] == 3
    two.write("texts/moby.txt", "two words\n")
    two.run("--cache", "../cache")
    two.executed()
    one.write("texts/moby.txt", "two words\n")
    assert set(one.run("--cache", "../cache").states.values()) == {"restored", "current"}
    assert one.executed() == [] and one.read("total.txt") == "6\n"


def test_a_deleted_output_is_restored(words: Traced) -> None:
    words.remove("counts/moby.txt")
    assert words.run().states == {MOBY: "restored", EMMA: "current", "total": "current"}
    words.remove("counts")
    words.remove("total.txt")
    assert words.run().states == {MOBY: "restored", EMMA: "restored", "total": "restored"}
    assert words.executed() == [] and words.read("total.txt") == "7\n"
    unchanged(words)


def test_an_output_altered_by_hand_is_displaced_and_restored(words: Traced) -> None:
    words.write("total.txt", "by hand\n")
    result = words.run()
    assert result.states == {MOBY: "current", EMMA: "current", "total": "restored"}
    assert words.executed() == [] and words.read("total.txt") == "7\n"
    assert words.displaced() == {"total.txt": "by hand\n"}
    assert "total.txt" in result.stderr and ".f0make/displaced/" in result.stderr
    unchanged(words)


def test_an_output_replaced_by_something_else_is_displaced(words: Traced) -> None:
    words.remove("total.txt")
    words.write("total.txt/note", "mine\n")
    (words.workspace / "counts/moby.txt").unlink()
    (words.workspace / "counts/moby.txt").symlink_to("../texts/moby.txt")
    assert words.run().states == {MOBY: "restored", EMMA: "current", "total": "restored"}
    assert words.executed() == [] and words.read("total.txt") == "7\n"
    assert words.displaced()["total.txt/note"] == "mine\n"
    assert not (words.workspace / "counts/moby.txt").is_symlink()
    assert words.read("texts/moby.txt") == "Call me Ishmael\n"


def test_writing_into_a_restored_file_harms_no_cache(words: Traced) -> None:
    words.remove("total.txt")
    words.run()
    with open(words.workspace / "total.txt", "a") as file:
        file.write("scribble\n")
    assert words.run().states["total"] == "restored"
    assert words.read("total.txt") == "7\n" and words("cache", "verify").code == 0


def test_without_the_cache_what_is_lost_runs_again(words: Traced) -> None:
    words.remove("total.txt")
    assert words.run("--no-cache").states == {MOBY: "current", EMMA: "current", "total": "ran"}
    assert words.executed() == ["total"]


def test_no_cache_stores_nothing(f0: F0) -> None:
    traced = Traced(f0.workspace)
    traced.recipe(f"steps:\n  - name: a\n    outputs: a\n    run: |\n      {TRACE}\n      echo a > a\n")
    traced.run("--no-cache")
    traced.remove("a")
    assert traced.run().states == {"a": "ran"} and traced.executed() == ["a", "a"]


def test_a_foreach_element_added_and_removed(words: Traced) -> None:
    words.write("texts/alice.txt", "down the rabbit hole\n")
    words.edit("recipe.yaml", "        - emma\n", "        - emma\n        - alice\n")
    result = words.run()
    assert result.states == {MOBY: "current", EMMA: "current", "count[book=alice]": "ran", "total": "ran"}
    assert words.read("total.txt") == "11\n"
    words.executed()
    words.edit("recipe.yaml", "        - moby\n", "")
    assert words.run().states == {EMMA: "current", "count[book=alice]": "current", "total": "ran"}
    assert words.executed() == ["total"] and words.read("total.txt") == "8\n"
    words.recipe(WORDS)
    assert words.run().states == {MOBY: "current", EMMA: "current", "total": "restored"}


TREE = f"""\
steps:
  - name: tree
    inputs: in.txt
    outputs: tree/
    run: |
      {TRACE}
      mkdir -p tree/sub tree/empty
      cp in.txt tree/sub/a
      echo fixed > tree/b
      ln -s sub/a tree/link
      chmod +x tree/b
  - name: use
    inputs: tree/
    outputs: use.txt
    run: |
      {TRACE}
      find tree | sort > use.txt
"""


def test_an_output_directory_is_as_recorded_again(f0: F0) -> None:
    traced = Traced(f0.workspace)
    traced.recipe(TREE)
    traced.write("in.txt", "1\n")
    traced.run()
    traced.executed()
    unchanged(traced)
    # Added by hand.
    traced.write("tree/mine", "mine\n")
    traced.write("tree/sub/deep/mine", "mine too\n")
    result = traced.run()
    assert result.states["use"] == "current" and traced.executed() == []
    assert not traced.exists("tree/mine") and not traced.exists("tree/sub/deep")
    assert traced.displaced() == {"tree/mine": "mine\n", "tree/sub/deep/mine": "mine too\n"}
    assert "tree/mine" in result.stderr
    unchanged(traced)
    # Altered and deleted by hand.
    traced.write("tree/b", "altered\n")
    traced.remove("tree/sub/a")
    traced.remove("tree/empty")
    traced.remove("tree/link")
    assert traced.run().states == {"tree": "restored", "use": "current"}
    assert (
        traced.executed() == [] and traced.read("tree/b") == "fixed\n" and traced.read("tree/sub/a") == "1\n"
    )
    assert os.access(traced.workspace / "tree/b", os.X_OK) and (traced.workspace / "tree/empty").is_dir()
    assert os.readlink(traced.workspace / "tree/link") == "sub/a"
    assert traced.displaced()["tree/b"] == "altered\n"
    # Cutoff: another content below the directory changes the tree, so its reader runs.
    traced.write("in.txt", "2\n")
    assert traced.run().states == {"tree": "ran", "use": "ran"}
    traced.write("in.txt", "1\n")
    assert traced.run().states["tree"] == "restored" and traced.read("tree/sub/a") == "1\n"


TEMP = f"""\
steps:
  - name: make
    inputs: in.txt
    outputs:
      - path: middle.txt
        temp: yes
    run: |
      {TRACE}
      cat in.txt in.txt > middle.txt
  - name: use
    inputs: middle.txt
    outputs: use.txt
    env:
      SALT: a
    run: |
      {TRACE}
      echo $SALT > use.txt; cat middle.txt >> use.txt
  - name: other
    inputs: middle.txt
    outputs: other.txt
    run: |
      {TRACE}
      wc -l < middle.txt > other.txt
"""


@pytest.fixture
def temp(f0: F0) -> Traced:
    """A temp output that two steps read."""
    traced = Traced(f0.workspace)
    traced.recipe(TEMP)
    traced.write("in.txt", "1\n")
    return traced


@pytest.mark.parametrize("options", [(), ("--no-cache",)], ids=["cache", "no-cache"])
def test_temp_outputs(temp: Traced, options: tuple[str, ...]) -> None:
    assert set(temp.run(*options).states.values()) == {"ran"}
    assert not temp.exists("middle.txt")
    temp.executed()
    # Its consumers are current: nothing, although it is gone.
    assert temp.run(*options).summary["current"] == 3 and temp.executed() == []
    assert not temp.exists("middle.txt")
    # A consumer must run: it is restored or made again, and then removed again.
    temp.edit("recipe.yaml", "SALT: a", "SALT: b")
    result = temp.run(*options)
    assert result.states["use"] == "ran" and result.states["other"] == "current"
    assert temp.read("use.txt") == "b\n1\n1\n" and not temp.exists("middle.txt")
    assert temp.executed() == (["use"] if not options else ["make", "use"])
    # Its own input changes.
    temp.write("in.txt", "2\n")
    assert set(temp.run(*options).states.values()) == {"ran"}
    assert temp.read("use.txt") == "b\n2\n2\n" and not temp.exists("middle.txt")
    assert temp.executed() == ["make", "other", "use"]


def test_a_lost_output_of_a_consumer_needs_no_temp_file(temp: Traced) -> None:
    temp.run()
    temp.executed()
    temp.remove("use.txt")
    assert temp.run().states["use"] == "restored" and temp.executed() == []
    assert not temp.exists("middle.txt")


BESIDE = f"""\
steps:
  - name: make
    inputs: in.txt
    outputs:
      - kept.txt
      - path: middle.txt
        temp: yes
    run: |
      {TRACE}
      cp in.txt kept.txt; cat in.txt in.txt > middle.txt
  - name: use
    inputs:
      - kept.txt
      - middle.txt
    outputs: use.txt
    cache: no
    run: |
      {TRACE}
      cat kept.txt middle.txt > use.txt
"""


@pytest.mark.parametrize("blobs", [True, False], ids=["cached", "its blob lost"])
def test_a_temp_output_comes_back_after_another_output_of_its_maker(f0: F0, blobs: bool) -> None:
    """The maker is restored for the lost output first; its temp output only when the consumer turns out to need it."""
    traced = Traced(f0.workspace)
    traced.recipe(BESIDE)
    traced.write("in.txt", "1\n")
    traced.run()
    traced.executed()
    traced.remove("kept.txt")
    assert traced.run().states == {"make": "restored", "use": "current"}
    assert traced.read("kept.txt") == "1\n" and not traced.exists("middle.txt")
    traced.remove("kept.txt")
    traced.remove("use.txt")
    if not blobs:
        doubled = hashlib.sha256(b"1\n1\n").hexdigest()
        Path(traced.workspace, ".f0make/cache/cas", doubled[:2], doubled).unlink()
    result = traced.run()
    assert result.states == {"make": "restored" if blobs else "ran", "use": "ran"}
    assert result.summary["restored"] + result.summary["ran"] == 2 and result.summary["current"] == 0
    assert traced.read("use.txt") == "1\n1\n1\n" and not traced.exists("middle.txt")
    assert traced.executed() == (["use"] if blobs else ["make", "use"])


def test_a_temp_output_that_is_a_target_stays(temp: Traced) -> None:
    temp.run("middle.txt")
    assert temp.read("middle.txt") == "1\n1\n"


def test_cache_no_runs_again_when_its_output_is_lost(f0: F0) -> None:
    traced = Traced(f0.workspace)
    traced.recipe(
        f"steps:\n  - name: a\n    outputs: a\n    cache: no\n    run: |\n      {TRACE}\n      echo a > a\n"
    )
    traced.run()
    unchanged_after = traced.run()
    assert unchanged_after.states == {"a": "current"} and traced.executed() == ["a"]
    traced.remove("a")
    assert traced.run().states == {"a": "ran"} and traced.executed() == ["a"]


def test_only_the_instance_with_the_lost_workspace_state_is_affected(words: Traced) -> None:
    """Without its `.f0make` a workspace is new: its files are the user's, and none is lost."""
    shutil.rmtree(words.workspace / ".f0make")
    words.write("total.txt", "mine\n")
    result = words.run()
    assert set(result.states.values()) == {"ran"} and words.read("total.txt") == "7\n"
    assert words.displaced()["total.txt"] == "mine\n"
    assert Path(words.workspace, ".f0make/.gitignore").read_text().strip() == "*"
