"""What is never wrong or lost: outputs that fail, files of the user, inputs that change, damaged blobs."""

from __future__ import annotations

import mmap
import os
import time
from pathlib import Path

import pytest

from tests.support.contract_tools import TRACE, Traced
from tests.support.f0 import F0


@pytest.fixture
def traced(f0: F0) -> Traced:
    """An empty workspace."""
    return Traced(f0.workspace)


COPY = f"""\
steps:
  - name: copy
    inputs: in.txt
    outputs: out.txt
    run: |
      {TRACE}
      cat in.txt > out.txt
"""


def test_declared_outputs_are_cleared_before_a_step_runs(traced: Traced) -> None:
    traced.recipe(
        "steps:\n"
        "  - name: a\n"
        "    inputs: in.txt\n"
        "    outputs:\n"
        "      - a.txt\n"
        "      - tree/\n"
        "    run: |\n"
        '      [ ! -e a.txt ]; [ ! -e tree ] || [ -z "$(ls -A tree)" ]\n'
        "      mkdir -p tree; cat in.txt >> a.txt; touch tree/$(cat in.txt)\n"
    )
    for text in ("one", "two"):
        traced.write("in.txt", text)
        assert traced.run().states == {"a": "ran"}
        assert traced.read("a.txt") == text and os.listdir(traced.workspace / "tree") == [text]
    assert traced.displaced() == {}


def test_outputs_of_a_failed_step_are_moved_to_failed(traced: Traced) -> None:
    traced.recipe(
        "steps:\n"
        "  - name: a\n"
        "    inputs: in.txt\n"
        "    outputs:\n"
        "      - a.txt\n"
        "      - tree/\n"
        "    run: |\n"
        "      mkdir -p tree; echo half > a.txt; echo half > tree/x\n"
        "      [ $(cat in.txt) = good ]\n"
        "  - name: b\n"
        "    inputs: a.txt\n"
        "    outputs: b.txt\n"
        "    run: cp a.txt b.txt\n"
    )
    traced.write("in.txt", "bad")
    result = traced.run(code=1)
    assert result.states == {"a": "failed", "b": "cancelled"}
    assert result.summary["status"] == "failed"
    assert not traced.exists("a.txt") and not traced.exists("tree")
    assert traced.failed() == {"a.txt": "half\n", "tree/x": "half\n"}
    traced.write("in.txt", "good")
    assert traced.run().states == {"a": "ran", "b": "ran"}
    # What was made by a good run is gone when the next one fails: an old result never counts as a new one.
    traced.write("in.txt", "bad")
    assert traced.run(code=1).states == {"a": "failed", "b": "cancelled"}
    assert not traced.exists("a.txt") and traced.read("b.txt") == "half\n"
    traced.write("in.txt", "good")
    assert traced.run().states == {"a": "restored", "b": "current"}


def test_files_that_f0make_did_not_make_are_moved_and_named(traced: Traced) -> None:
    traced.recipe(
        "steps:\n"
        "  - name: a\n"
        "    outputs:\n"
        "      - dir/a.txt\n"
        "      - tree/\n"
        "    run: echo made > dir/a.txt; mkdir -p tree; echo made > tree/x\n"
    )
    traced.write("dir/a.txt", "mine a\n")
    traced.write("dir/other.txt", "not touched\n")
    traced.write("tree/x", "mine x\n")
    traced.write("tree/deep/y", "mine y\n")
    result = traced.run()
    assert traced.displaced() == {"dir/a.txt": "mine a\n", "tree/x": "mine x\n", "tree/deep/y": "mine y\n"}
    assert "dir/a.txt" in result.stderr and "tree" in result.stderr
    assert traced.read("dir/other.txt") == "not touched\n"
    assert traced.read("dir/a.txt") == "made\n" and os.listdir(traced.workspace / "tree") == ["x"]


def test_a_file_where_a_directory_must_be_is_moved(traced: Traced) -> None:
    traced.recipe("steps:\n  - name: a\n    outputs: dir/a.txt\n    run: echo made > dir/a.txt\n")
    traced.write("dir", "mine\n")
    traced.run()
    assert traced.displaced() == {"dir": "mine\n"} and traced.read("dir/a.txt") == "made\n"


def test_a_file_edited_between_two_runs_that_replace_it_is_kept(traced: Traced) -> None:
    traced.recipe(COPY)
    traced.write("in.txt", "1\n")
    traced.run()
    traced.write("out.txt", "edited\n")
    traced.write("in.txt", "2\n")
    assert traced.run().states == {"copy": "ran"}
    assert traced.displaced() == {"out.txt": "edited\n"} and traced.read("out.txt") == "2\n"
    # Twice in the same place loses nothing either.
    traced.write("out.txt", "edited again\n")
    traced.write("in.txt", "1\n")
    traced.run()
    kept = {p.read_text() for p in (traced.workspace / ".f0make/displaced").rglob("*") if p.is_file()}
    assert kept == {"edited\n", "edited again\n"}


def test_a_symlinked_output_is_not_written_through(traced: Traced) -> None:
    traced.recipe(COPY)
    traced.write("in.txt", "1\n")
    precious = traced.workspace.parent / "precious"
    precious.write_text("precious\n")
    (traced.workspace / "out.txt").symlink_to(precious)
    traced.run()
    assert precious.read_text() == "precious\n" and traced.read("out.txt") == "1\n"


def test_an_input_that_changes_while_its_step_runs(traced: Traced) -> None:
    traced.recipe(
        "steps:\n"
        "  - name: a\n"
        "    inputs: in.txt\n"
        "    outputs: out.txt\n"
        "    run: |\n"
        f"      {TRACE}\n"
        "      cat in.txt > out.txt\n"
        "      if [ ! -e once ]; then touch once; echo changed > in.txt; fi\n"
    )
    traced.write("in.txt", "first\n")
    result = traced.run()
    assert result.states == {"a": "ran"} and traced.read("out.txt") == "changed\n"
    assert traced.executed() == ["a", "a"] and "in.txt" in result.stderr
    assert traced.run().states == {"a": "current"}
    # The result that did not count was not recorded under the old content.
    traced.write("in.txt", "first\n")
    assert traced.run().states == {"a": "ran"} and traced.read("out.txt") == "first\n"


def test_an_input_that_changes_every_time_has_failed(traced: Traced) -> None:
    traced.recipe(
        "steps:\n"
        "  - name: a\n"
        "    inputs: in.txt\n"
        "    outputs: out.txt\n"
        f"    run: |\n      {TRACE}\n      cp in.txt out.txt\n      echo more >> in.txt\n"
    )
    traced.write("in.txt", "first\n")
    result = traced.run(code=1)
    assert result.states == {"a": "failed"} and "in.txt" in result.reasons["a"]
    assert traced.executed() == ["a", "a", "a"] and not traced.exists("out.txt")


def test_same_size_edits_at_once_are_noticed(traced: Traced) -> None:
    traced.recipe(COPY)
    for n in range(4):
        traced.write("in.txt", f"{n}\n")
        before = os.stat(traced.workspace / "in.txt").st_mtime_ns
        traced.run()
        assert traced.read("out.txt") == f"{n}\n"
        with open(traced.workspace / "in.txt", "r+") as file:  # In place: the inode stays.
            file.write("x")
        os.utime(traced.workspace / "in.txt", ns=(before, before))
        assert traced.run().states == {"copy": "ran" if n == 0 else "restored"}
        assert traced.read("out.txt") == "x\n"


def test_an_edit_right_after_a_run_is_noticed(traced: Traced) -> None:
    """The file is written in the same instant in which the run that read it ends."""
    traced.recipe(COPY)
    for n in range(3):
        traced.write("in.txt", f"{n}\n")
        traced.run()
        traced.write("in.txt", f"{n + 1}\n")
        assert traced.run().states["copy"] == "ran" and traced.read("out.txt") == f"{n + 1}\n"
        traced.write("in.txt", "-\n")
        traced.run()


@pytest.mark.parametrize("path", ["in.txt", "out.txt"])
def test_a_forged_mtime_is_no_trap(traced: Traced, path: str) -> None:
    traced.recipe(COPY)
    traced.write("in.txt", "1\n")
    traced.run()
    time.sleep(0.05)
    traced.run("--rehash")
    full = traced.workspace / path
    stat = os.stat(full)
    with open(full, "r+") as file:
        file.write("2")
    os.utime(full, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    traced.run()
    assert traced.read("out.txt") == ("2\n" if path == "in.txt" else "1\n")
    # Another file moved in its place, as old and as large.
    other = traced.write("other", "3\n")
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    other.rename(full)
    traced.run()
    assert traced.read("out.txt") == ("3\n" if path == "in.txt" else "1\n")


def test_a_future_mtime_is_no_trap(traced: Traced) -> None:
    traced.recipe(COPY)
    full = traced.write("in.txt", "1\n")
    future = time.time() + 10**7
    os.utime(full, (future, future))
    traced.run()
    assert traced.run().states == {"copy": "current"}
    with open(full, "r+") as file:
        file.write("2")
    os.utime(full, (future, future))
    assert traced.run().states == {"copy": "ran"} and traced.read("out.txt") == "2\n"


def test_rehash_trusts_no_signature(traced: Traced) -> None:
    """A store into a mapped page that is dirty already moves neither mtime nor ctime."""
    traced.recipe(COPY)
    full = traced.write("in.txt", "1" + "." * 100)
    with open(full, "r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        mapped[1:2] = b","
        time.sleep(0.05)
        traced.run()
        assert traced.run().states == {"copy": "current"}
        before = os.stat(full)
        mapped[0:1] = b"2"
        after = os.stat(full)
        assert (before.st_mtime_ns, before.st_ctime_ns) == (after.st_mtime_ns, after.st_ctime_ns)
        assert traced.run("--rehash").states == {"copy": "ran"}
        assert traced.read("out.txt")[0] == "2"


def blobs(traced: Traced) -> list[Path]:
    return [p for p in (traced.workspace / ".f0make/cache").rglob("*") if p.is_file() and len(p.name) == 64]


def overwrite(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "remove"])
def test_a_corrupt_blob_is_dropped_and_its_step_runs_again(traced: Traced, damage: str) -> None:
    traced.recipe(COPY)
    traced.write("in.txt", "some content\n")
    traced.run()
    traced.executed()
    for blob in blobs(traced):
        data = blob.read_bytes()
        if damage == "remove":
            blob.unlink()
        else:
            overwrite(blob, {"flip": b"S" + data[1:], "truncate": data[:5], "empty": b""}[damage])
    traced.remove("out.txt")
    assert traced.run().states == {"copy": "ran"}
    assert traced.executed() == ["copy"] and traced.read("out.txt") == "some content\n"
    # The cache has healed.
    traced.remove("out.txt")
    assert traced.run().states == {"copy": "restored"} and traced.read("out.txt") == "some content\n"


def test_a_corrupt_blob_of_a_tree(traced: Traced) -> None:
    traced.recipe(
        f"steps:\n  - name: t\n    outputs: tree/\n    run: |\n      {TRACE}\n"
        "      mkdir -p tree/sub; echo a > tree/a; echo b > tree/sub/b\n"
    )
    traced.run()
    traced.executed()
    for blob in blobs(traced):
        if blob.read_bytes() == b"b\n":
            overwrite(blob, b"x\n")
    traced.remove("tree")
    assert traced.run().states == {"t": "ran"} and traced.executed() == ["t"]
    assert traced.read("tree/sub/b") == "b\n" and traced.read("tree/a") == "a\n"


def test_cache_verify_finds_what_is_corrupt(traced: Traced) -> None:
    traced.recipe(COPY)
    traced.write("in.txt", "some content\n")
    traced.run()
    assert traced("cache", "verify").code == 0
    for blob in blobs(traced):
        overwrite(blob, b"?" * len(blob.read_bytes()))
    assert traced("cache", "verify").code == 1
    assert traced("cache", "verify").code == 0
    assert traced.run().states == {"copy": "current"}


@pytest.mark.parametrize("kind", ["file", "below a file", "cas is a file"])
def test_an_unusable_cache_is_said_once_and_the_run_goes_on(traced: Traced, kind: str) -> None:
    traced.recipe(
        "steps:\n  - name: a\n    foreach:\n      n:\n        range: 1..3\n"
        "    outputs: out/${{ n }}\n    run: echo ${{ n }} > ${{ outputs }}\n"
    )
    traced.write("cache", "no directory\n")
    place = {"file": "cache", "below a file": "cache/deeper", "cas is a file": "broken"}[kind]
    if kind == "cas is a file":
        traced.write("broken/cas", "no directory\n")
    result = traced.run("--cache", place)
    assert set(result.states.values()) == {"ran"}
    assert sum(1 for line in result.stderr.splitlines() if "cache" in line or "broken" in line) == 1, (
        result.stderr
    )
    assert traced.read("cache") == "no directory\n"
    assert traced.run("--cache", place).summary["current"] == 3


@pytest.mark.parametrize("kind", ["file", "dangling", "log is a directory"])
def test_an_unusable_state_ends_the_run_with_a_line_that_names_it(traced: Traced, kind: str) -> None:
    traced.recipe(COPY)
    traced.write("in.txt", "1\n")
    if kind == "file":
        traced.write(".f0make", "mine\n")
    elif kind == "dangling":
        (traced.workspace / ".f0make").symlink_to("/nonexistent/place")
    else:
        traced.run()
        traced.remove(".f0make/records.log")
        traced.write(".f0make/records.log/x", "x")
        traced.write("in.txt", "2\n")
    result = traced("run", "recipe.yaml")
    if kind == "log is a directory":  # It is set aside with a word, like any damaged file of the state.
        assert result.code == 0 and "records.log" in result.stderr and traced.read("out.txt") == "2\n"
        return
    assert result.code == 1 and ".f0make" in result.stderr
    assert len(result.stderr.splitlines()) == 1, result.stderr
    if kind == "file":
        assert traced.read(".f0make") == "mine\n"


def test_a_step_that_does_not_make_its_outputs_has_failed(traced: Traced) -> None:
    traced.recipe(
        "steps:\n  - name: a\n    outputs:\n      - a.txt\n      - b.txt\n      - d/\n    run: echo a > a.txt\n"
    )
    result = traced.run(code=1)
    assert result.states == {"a": "failed"} and "b.txt" in result.reasons["a"]
    assert not traced.exists("a.txt") and traced.failed() == {"a.txt": "a\n"}


def test_a_depfile_that_is_not_written_has_failed(traced: Traced) -> None:
    traced.recipe("steps:\n  - name: a\n    outputs: a.txt\n    depfile: a.d\n    run: echo a > a.txt\n")
    result = traced.run(code=1)
    assert result.states == {"a": "failed"} and "a.d" in result.reasons["a"]
