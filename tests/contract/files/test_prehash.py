"""Large inputs are hashed side by side, a person is told, and Ctrl-C is heard meanwhile."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from pathlib import Path

import pytest

from f0make.files import prehash
from f0make.files.content_cache import Contents
from f0make.files.prehash import Interrupted, Prehash
from tests.support.contract_tools import Traced, wait_for
from tests.support.f0 import F0, interrupt

BIG = 9 << 20


@pytest.fixture
def traced(f0: F0) -> Traced:
    """An empty workspace."""
    return Traced(f0.workspace)


def sparse(path: Path, size: int, head: str) -> None:
    """A file of ``size`` bytes that takes no room."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(head)
    os.truncate(path, size)


def test_the_first_large_file_brings_the_others(tmp_path: Path) -> None:
    names = ["a", "b", "dir/c", "small"]
    for name in names:
        sparse(tmp_path / name, BIG if name != "small" else 10, name)
    contents = Contents(str(tmp_path))
    said: list[str] = []
    contents.before_large = Prehash(contents, lambda: ["small", "a", "b", "dir", "none"], 2, said.append)
    assert contents.token("a") == hashlib.sha256((tmp_path / "a").read_bytes()).hexdigest()
    assert contents.before_large is None and not said
    assert set(contents.rows()) == {"a", "b", "dir/c"}, "read once, and small ones when they are asked for"
    assert contents.hashed_files == 0
    assert contents.token("b") == hashlib.sha256((tmp_path / "b").read_bytes()).hexdigest()


def test_known_files_are_not_read_again(tmp_path: Path) -> None:
    for name in ("a", "b"):
        sparse(tmp_path / name, BIG, name)
    contents = Contents(str(tmp_path))
    contents.token("a")
    contents.settle()
    known = contents.rows()
    again = Contents(str(tmp_path), known)
    read: list[str] = []
    again.before_large = read.append
    again.token("a")
    assert read == []
    again.token("b")
    assert read == ["b"]


def test_an_unreadable_file_keeps_nobody_waiting(tmp_path: Path) -> None:
    for name in ("a", "b"):
        sparse(tmp_path / name, BIG, name)
    contents = Contents(str(tmp_path))
    contents.before_large = Prehash(contents, lambda: ["a", "b", "b/c"], 2, print)
    contents.full("a")
    os.rename(tmp_path / "b", tmp_path / "c")
    assert contents.token("a") and contents.token("b") is None


def test_it_gives_up_when_the_run_is_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sparse(tmp_path / "a", BIG, "a")
    monkeypatch.setattr(
        prehash.content_digest, "read_stable", lambda path: time.sleep(0.5) or (None, None, None, None)
    )
    contents = Contents(str(tmp_path))
    with pytest.raises(Interrupted):
        Prehash(contents, lambda: ["a"], 2, print, stopped=lambda: True)("a")


RECIPE = """\
steps:
  - name: size
    foreach:
      n:
        range: 1..2
    inputs: data/${{ n }}.bin
    outputs: ${{ n }}.txt
    run: stat -c %s ${{ inputs }} > ${{ outputs }}
"""


@pytest.mark.parametrize("verb", ["run", "plan"])
def test_a_person_is_told_what_is_waited_for(traced: Traced, verb: str) -> None:
    traced.recipe(RECIPE)
    for n in (1, 2):
        sparse(traced.workspace / f"data/{n}.bin", 100_000_000, str(n))
    if verb == "plan":
        traced.run()
        for n in (1, 2):
            sparse(traced.workspace / f"data/{n}.bin", 100_000_001, str(n))
    result = traced(verb, "recipe.yaml")
    assert result.code == 0 and result.stderr.count("hashing 2 files (200MB)") == 1
    assert verb == "plan" or traced("run", "recipe.yaml").stderr.count("hashing") == 0


def test_one_changed_large_file_is_told_as_well(traced: Traced) -> None:
    traced.recipe(RECIPE)
    for n in (1, 2):
        sparse(traced.workspace / f"data/{n}.bin", 205_000_000 if n == 1 else 10, str(n))
    traced.run()
    sparse(traced.workspace / "data/1.bin", 210_000_000, "1")
    result = traced("run", "recipe.yaml")
    assert "hashing data/1.bin (210MB)" in result.stderr and traced.read("1.txt") == "210000000\n"


def test_ctrl_c_is_heard_while_a_large_file_is_hashed(traced: Traced) -> None:
    traced.recipe(RECIPE)
    for n in (1, 2):
        sparse(traced.workspace / f"data/{n}.bin", 60_000_000_000 if n == 1 else 10, str(n))
    run = traced.start("run", "recipe.yaml", "--json")
    assert run.stdout is not None
    run.stdout.readline()
    wait_for(lambda: any(_reads(thread, "1.bin") for thread in [run.pid]))
    began = time.monotonic()
    result = interrupt(run, signal.SIGINT)
    assert result.code == 130 and time.monotonic() - began < 5
    assert '"status": "interrupted"' in result.stdout


def _reads(pid: int, name: str) -> bool:
    """Whether the process has a file of this name open."""
    directory = f"/proc/{pid}/fd"
    try:
        return any(os.readlink(f"{directory}/{fd}").endswith(name) for fd in os.listdir(directory))
    except OSError:
        return False
