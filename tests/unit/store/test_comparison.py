"""Comparing many files with their signatures, alone and with other processes."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from f0make import forked_task
from f0make.store import signature_check
from f0make.store.signature_check import CHUNK, Comparison, digest

FILES = 8 * CHUNK + 100


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """More files than anybody changes, in nine chunks."""
    root = tmp_path_factory.mktemp("files")
    found = [str(root / str(n)) for n in range(FILES)]
    for path in found:
        Path(path).touch()
    return found


def signatures(paths: list[str]) -> list[bytes]:
    return [digest(paths[n : n + CHUNK]) for n in range(0, len(paths), CHUNK)]


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other processes help, whatever this machine has and although pytest has threads."""
    monkeypatch.setattr(signature_check, "_processes", lambda files: 3)


@pytest.fixture(autouse=True)
def nobody_else() -> None:
    """What earlier tests have left is not counted here."""
    forked_task.end_all()


def alter(path: str) -> None:
    os.utime(path, ns=(1, time.time_ns()))


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_every_difference_is_found(
    paths: list[str], monkeypatch: pytest.MonkeyPatch, processes: int, seed: int
) -> None:
    monkeypatch.setattr(signature_check, "_processes", lambda files: processes)
    before = signatures(paths)
    chosen = sorted(random.Random(seed).sample(range(FILES), [1, 2, 40, 2_000][seed]))
    for n in chosen:
        alter(paths[n])
    seen = Comparison(paths, before)
    assert seen.different
    assert seen.places() == chosen == seen.places()
    assert not seen.waits and not forked_task._alive


@pytest.mark.usefixtures("shared")
def test_where_nothing_differs_nobody_is_left(paths: list[str]) -> None:
    seen = Comparison(paths, signatures(paths))
    assert not seen.different and not seen.waits and seen.places() == []
    assert not forked_task._alive


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("number", [0, 1])
def test_what_is_left_to_look_at_is_handed_over(paths: list[str], number: int) -> None:
    """The first chunk is one's own, the second another process's."""
    before = signatures(paths)
    last = FILES - 1
    alter(paths[number * CHUNK])
    alter(paths[last])
    seen = Comparison(paths, before)
    assert seen.different and seen.waits
    assert seen.places() == [number * CHUNK, last]


def test_a_path_that_is_gone_differs(paths: list[str]) -> None:
    before = signatures(paths)
    assert Comparison([*paths[:5], "/nowhere", *paths[6:]], before).places() == [5]


@pytest.mark.usefixtures("shared")
def test_a_process_that_is_killed_costs_time_only(paths: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What it would have found is looked for again."""
    me = os.getpid()
    sound = Comparison.differs

    def deadly(self: Comparison, number: int) -> bool:
        if os.getpid() != me:
            os.kill(os.getpid(), signal.SIGKILL)
        return sound(self, number)

    before = signatures(paths)
    alter(paths[CHUNK])
    monkeypatch.setattr(Comparison, "differs", deadly)
    assert Comparison(paths, before).places() == [CHUNK]


def test_a_child_that_nobody_asks_is_ended() -> None:
    child = forked_task.Offshoot(lambda say: time.sleep(60))
    assert child.first(wait=False) is None
    forked_task.end_all()
    assert not forked_task._alive
    with pytest.raises(ChildProcessError):
        os.waitpid(child._pid, 0)


def test_a_child_says_more_than_a_pipe_holds() -> None:
    text = bytes(range(256)) * 2_000
    assert forked_task.Offshoot(lambda say: say(text)).all() == text
