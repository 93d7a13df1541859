"""Outputs that are only gone come back before anything is decided; what cannot come back so goes the way of all others."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from f0make.cache.blobs import Blobs
from f0make.files.content_cache import Contents
from f0make.noop import look
from f0make.options import Event, Silent
from f0make.session import Session
from f0make.workspace import refill_many
from f0make.workspace.restore import Restorer
from f0make.workspace.workspace_files import Workspace
from tests.support.inline import InlineExecutor

CHAIN = (
    "steps:\n  - name: one\n    inputs: x\n    outputs:\n      - out/z\n      - out/a\n"
    "    run: cp x out/z; cp x out/a; date +%N >> runs\n"
    "  - name: two\n    inputs: out/a\n    outputs: out/two\n    run: cat out/a out/a > out/two\n"
    "  - name: three\n    inputs: out/two\n    outputs: out/three\n    run: cp out/two out/three; chmod +x out/three\n"
    "  - name: other\n    inputs: y\n    outputs: deep/er/other\n    run: cp y deep/er/other\n"
)


class Told(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.notes: list[str] = []

    def start(self, event: Event) -> None:
        self.events.append(event)

    def step(self, event: Event) -> None:
        self.events.append(event)

    def summary(self, event: Event) -> None:
        self.events.append(event)

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    """Three steps in a row and one beside them, up to date, with a snapshot."""
    (tmp_path / "x").write_text("x\n")
    (tmp_path / "y").write_text("y\n")
    (tmp_path / "recipe.yaml").write_text(CHAIN)
    assert InlineExecutor(str(tmp_path)).execute("recipe.yaml").status == "ok"
    return tmp_path


@pytest.fixture
def only_part(chain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening a whole recipe is an error from here on."""

    def refuse(*_: object, **__: object) -> Session:
        raise AssertionError("the whole recipe was opened")

    monkeypatch.setattr(Session, "open", refuse)


def run(place: Path) -> tuple[dict[str, tuple[str, str]], Told]:
    """Step -> (status, reason) of a run in which each is told of once and that counts right."""
    told = Told()
    result = InlineExecutor(str(place), told).execute("recipe.yaml")
    steps = [event for event in told.events if event["event"] == "step"]
    assert len(steps) == len({e["step"] for e in steps}) == told.events[0]["instances"] == 4
    assert {e["step"]: e["status"] for e in steps} == result.steps
    for status in ("ran", "restored", "current", "cancelled", "failed"):
        assert told.events[-1][status] == sum(e["status"] == status for e in steps)
    return {e["step"]: (e["status"], e["reason"]) for e in steps}, told


def files(place: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(place)): (path.read_bytes(), path.stat().st_mode)
        for part in ("out", "deep")
        for path in (place / part).rglob("*")
        if path.is_file()
    }


def blob(place: Path, path: str) -> Path:
    token = Contents(str(place)).token(path)
    assert token is not None
    return Path(Blobs(str(place / ".f0make/cache")).path(token[:64]))


def test_what_is_gone_comes_back_and_the_log_stays_as_it_is(chain: Path, only_part: None) -> None:
    before = files(chain)
    log = (chain / ".f0make/records.log").read_bytes()
    shutil.rmtree(chain / "out")
    shutil.rmtree(chain / "deep")
    assert run(chain)[0] == {
        "one": ("restored", "output out/z is missing"),
        "two": ("restored", "output out/two is missing"),
        "three": ("restored", "output out/three is missing"),
        "other": ("restored", "output deep/er/other is missing"),
    }
    assert files(chain) == before
    assert (chain / ".f0make/records.log").read_bytes() == log
    (chain / "out/a").unlink()
    assert run(chain)[0]["one"] == ("restored", "output out/a is missing")
    assert {status for status, _ in run(chain)[0].values()} == {"current"}


def test_a_damaged_blob_is_told_of_and_its_step_runs_again(chain: Path, only_part: None) -> None:
    before = files(chain)
    damaged = blob(chain, "out/two")
    damaged.chmod(0o644)
    damaged.write_bytes(b"damaged")
    shutil.rmtree(chain / "out")
    found, told = run(chain)
    assert {name: status for name, (status, _) in found.items()} == {
        "one": "restored",
        "two": "ran",
        "three": "restored",
        "other": "current",
    }
    assert found["two"][1] == "what the cache held for it was damaged"
    assert any("was damaged and has been dropped" in note for note in told.notes)
    assert files(chain) == before
    assert damaged.read_bytes() == before["out/two"][0]


def test_what_has_appeared_in_the_way_is_moved_aside(chain: Path, only_part: None) -> None:
    before = files(chain)
    shutil.rmtree(chain / "out")
    (chain / "out").write_text("mine\n")
    found, told = run(chain)
    assert {status for status, _ in found.values()} == {"restored", "current"}
    assert files(chain) == before
    (note,) = told.notes
    moved = note.rpartition(" ")[2]
    assert (chain / moved).read_text() == "mine\n"


def test_a_changed_input_wins(chain: Path, only_part: None) -> None:
    shutil.rmtree(chain / "out")
    (chain / "x").write_text("another\n")
    found = run(chain)[0]
    assert [found[name][0] for name in ("one", "two", "three", "other")] == ["ran", "ran", "ran", "current"]
    assert (chain / "out/three").read_text() == "another\nanother\n"


def test_without_a_cache_it_runs_again(chain: Path) -> None:
    (chain / "out/two").unlink()
    told = Told()
    result = InlineExecutor(str(chain), told, no_cache=True).execute("recipe.yaml")
    assert result.steps["two"] == "ran"


def test_a_run_that_is_interrupted_meanwhile_tells_of_all(
    chain: Path, only_part: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_into = Blobs.copy_into
    signals = [signal.SIGTERM]

    def interrupt(self: Blobs, digest: str, target: int) -> None:
        copy_into(self, digest, target)
        if signals:
            signal.raise_signal(signals.pop())

    shutil.rmtree(chain / "out")
    monkeypatch.setattr(Blobs, "copy_into", interrupt)
    monkeypatch.setattr(refill_many, "_PIECE", 1)
    found, told = run(chain)
    assert told.events[-1]["status"] == "interrupted"
    assert [found[name][0] for name in ("one", "two", "three", "other")] == [
        "restored",
        "cancelled",
        "cancelled",
        "current",
    ]
    monkeypatch.undo()
    assert [s for s, _ in run(chain)[0].values()].count("restored") == 2


@pytest.fixture
def lot(tmp_path: Path) -> Iterator[tuple[str, list[list[tuple[str, str, int, int]]], Blobs]]:
    """A root, 40 groups of files in two directories, and their blobs."""
    blobs = Blobs(str(tmp_path / "cache"))
    groups = []
    for n in range(40):
        digest = blobs.add_bytes(b"%d\n" % n)
        time = 10**18 + n
        groups.append([(f"d{n % 2}/{n}", digest, time, 0o100600), (f"{n}", digest + "x", time + 1, 0o100711)])
    yield str(tmp_path), groups, blobs
    blobs.close()


@pytest.fixture
def several(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is worth a process, whatever else this one does."""
    monkeypatch.setattr(refill_many, "_how_many", lambda files: 2)
    monkeypatch.setattr(refill_many, "_PIECE", 2)


def check(root: str, groups: list[list[tuple[str, str, int, int]]], done: list[refill_many.Done]) -> int:
    """Every group that is done lies there as it must, with the signatures that were told; how many they are."""
    contents = Contents(root)
    for group, seen in zip(groups, done, strict=True):
        if seen is not None:
            for (path, token, time, mode), (signature, _) in zip(group, seen, strict=True):
                assert contents.token(path) == token
                assert (signature[1], signature[4]) == (time, mode)
                assert contents.signature(path) == signature
    return sum(seen is not None for seen in done)


@pytest.mark.parametrize("named", [True, False])
def test_several_put_back_what_one_would(
    lot: Any, several: None, named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, groups, blobs = lot
    if not named:  # as on a file system that knows no nameless files
        monkeypatch.setattr(Restorer, "nameless", False)
    assert check(root, groups, refill_many.refill(Workspace(root), groups, blobs, lambda: True)) == 40
    assert sorted(os.listdir(root)) == sorted(
        [*(str(n) for n in range(40)), "cache", "d0", "d1", *([] if named else [".f0make"])]
    )


def test_nothing_is_overwritten_and_nothing_damaged_appears(lot: Any, several: None) -> None:
    root, groups, blobs = lot
    Path(root, "7").write_text("mine\n")
    damaged = Path(blobs.path(groups[9][0][1]))
    damaged.chmod(0o644)
    damaged.write_bytes(b"9?")
    os.unlink(blobs.path(groups[11][0][1]))
    done = refill_many.refill(Workspace(root), groups, blobs, lambda: True)
    assert [n for n, seen in enumerate(done) if seen is None] == [7, 9, 11]
    assert check(root, groups, done) == 37
    assert Path(root, "7").read_text() == "mine\n"
    assert not os.path.lexists(f"{root}/9") and not os.path.lexists(f"{root}/d1/9")
    assert damaged.exists()


def test_a_helper_that_is_killed_leaves_nothing_half_done(
    lot: Any, several: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, groups, blobs = lot
    own, copy_into = os.getpid(), Blobs.copy_into

    def die(self: Blobs, digest: str, target: int) -> None:
        copy_into(self, digest, target)
        if os.getpid() != own:
            os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(Blobs, "copy_into", die)
    done = refill_many.refill(Workspace(root), groups, blobs, lambda: True)
    assert check(root, groups, done) >= 36  # each helper died over one piece at most
    for group, seen in zip(groups, done, strict=True):
        assert seen is not None or not any(os.path.lexists(f"{root}/{path}") for path, *_ in group)


def test_it_stops_when_it_is_told_to(lot: Any, several: None) -> None:
    root, groups, blobs = lot
    assert check(root, groups, refill_many.refill(Workspace(root), groups, blobs, lambda: False)) == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts on /proc")
def test_no_process_and_no_descriptor_is_left(lot: Any, several: None) -> None:
    root, groups, blobs = lot
    blobs.prepare()

    def left() -> tuple[set[str], set[str]]:
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
        return set(os.listdir("/proc/self/fd")), set(children.split())

    before = left()
    with Workspace(root) as workspace:
        refill_many.refill(workspace, groups, blobs, lambda: True)
    # Fewer may be: what other tests of this process began ends when it does.
    assert all(now <= then for now, then in zip(left(), before, strict=True))


DYING = """
import os, signal, sys, time
from f0make.cache.blobs import Blobs
from f0make.noop import look
from f0make.workspace import refill_many as refill
refill._how_many = lambda files: int(refill.safe())
refill._PIECE = 4
own, left, copy_into = os.getpid(), [int(sys.argv.pop(1))], Blobs.copy_into
def dying(self, digest, target):
    copy_into(self, digest, target)
    left[0] -= 1
    if os.getpid() != own:
        while left[0] < 0 and os.getppid() == own:  # the helper leaves the rest to whom it will outlive
            time.sleep(0.01)
    elif left[0] == 0:
        os.kill(own, signal.SIGKILL)
Blobs.copy_into = dying
from f0make.entry import main
sys.exit(main())
"""


def test_a_kill_leaves_whole_files_and_nothing_else(tmp_path: Path) -> None:
    names = [f"{n}" for n in range(60)]
    (tmp_path / "in").mkdir()
    for name in names:
        (tmp_path / "in" / name).write_text(name * 1000)
    (tmp_path / "recipe.yaml").write_text(
        "steps:\n  - name: copy\n    foreach:\n      n:\n        range: 0..59\n"
        "    inputs: in/${{ n }}\n    outputs: out/${{ n }}\n    run: cp in/${{ n }} out/${{ n }}\n"
    )
    assert InlineExecutor(str(tmp_path)).execute("recipe.yaml").status == "ok"
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    for files_before in (1, 7, 25):
        shutil.rmtree(tmp_path / "out")
        command = [sys.executable, "-c", DYING, str(files_before), "run", "recipe.yaml"]
        killed = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=60)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        for path in (tmp_path / "out").iterdir():
            assert path.read_text() == path.name * 1000
        # What helped may still have a file in its hands, and with it the lock.
        result = InlineExecutor(str(tmp_path), wait=True).execute("recipe.yaml")
        assert result.status == "ok" and set(result.steps.values()) <= {"restored", "current"}
        assert "restored" in result.steps.values()
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(names)
        for name in names:
            assert (tmp_path / "out" / name).read_text() == name * 1000
        assert not (tmp_path / ".f0make/displaced").exists()
        assert not os.path.isdir(tmp_path / ".f0make/run") or not os.listdir(tmp_path / ".f0make/run")


def test_a_protected_output_that_came_back_is_known_to_the_next_run(chain: Path) -> None:
    recipe = CHAIN.replace(
        "    outputs: deep/er/other\n", "    outputs:\n      - path: deep/er/other\n        protected: yes\n"
    )
    (chain / "recipe.yaml").write_text(recipe)
    run(chain)
    (chain / "deep/er/other").unlink()
    assert run(chain)[0]["other"] == ("restored", "output deep/er/other is missing")
    assert not (chain / "deep/er/other").stat().st_mode & 0o222
    here = os.getcwd()
    try:
        os.chdir(chain)
        assert look(["run", "recipe.yaml", "-q"]) is True
    finally:
        os.chdir(here)
