"""A cache directory of a group: all of the group read and write it, others read it, whatever their umask."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.contract_tools import TRACE, Traced
from tests.support.other_user import GROUP, As, needs_root, reachable

RECIPE = f"""\
steps:
  - name: a
    inputs: in.txt
    outputs: a.txt
    run: |
      {TRACE}
      cp in.txt a.txt
  - name: d
    inputs: in.txt
    outputs: d/
    run: |
      {TRACE}
      mkdir -p d/x; cp in.txt d/x/y; echo more > d/z
"""


def workspace(above: Path, name: str, umask: int) -> As:
    """A workspace of one of the users."""
    place = above / f"of-{name}" / "w"
    place.mkdir(parents=True)
    found = As(place, name, umask)
    found.recipe(RECIPE)
    found.write("in.txt", "text\n")
    found.give(place.parent)
    return found


@pytest.fixture
def cache() -> Iterator[Path]:
    """A cache of the group of alice and bob."""
    with reachable() as above:
        place = above / "cache"
        place.mkdir()
        os.chown(place, 0, GROUP)
        place.chmod(0o2775)
        yield place


@needs_root
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_two_users_of_a_group(cache: Path, umask: int) -> None:
    where = ("--cache", str(cache))
    alice, bob, mallory = (workspace(cache.parent, name, umask) for name in ("alice", "bob", "mallory"))
    assert set(alice.run(*where).states.values()) == {"ran"}
    for path in cache.rglob("*"):
        st = path.lstat()
        assert st.st_gid == GROUP, path
        if stat.S_ISDIR(st.st_mode):
            assert stat.S_IMODE(st.st_mode) == 0o2775, path
        else:
            assert bool(st.st_mode & 0o040) == (umask == 0o022 or "cas" not in path.parts), path
    if umask == 0o077:
        return  # what alice's steps made is for alice only
    plan = bob("plan", "recipe.yaml", "--json", *where)
    assert {e["status"] for e in plan.events if e["event"] == "step"} == {"restore"}, plan
    result = bob.run(*where)
    assert set(result.states.values()) == {"restored"} and "cannot" not in result.stderr
    bob.shell("echo bob > in.txt")
    assert set(bob.run(*where).states.values()) == {"ran"}
    bob.shell("echo text > in.txt")
    gc = bob("cache", "gc", "--size", "1GB", *where)
    assert gc.code == 0 and "uses" not in gc.stderr
    # Who is not of the group reads.
    plan = mallory("plan", "recipe.yaml", "--json", *where)
    assert {e["status"] for e in plan.events if e["event"] == "step"} == {"restore"}, plan
    result = mallory.run(*where)
    assert set(result.states.values()) == {"restored"} and result.stderr.count("only read") == 1
    mallory.shell("echo mallory > in.txt")
    before = sorted(cache.rglob("*"))
    assert set(mallory.run(*where).states.values()) == {"ran"} and sorted(cache.rglob("*")) == before
    assert set(mallory.run(*where).states.values()) == {"current"}


def test_reading_only_on_request(tmp_path: Path) -> None:
    def at(name: str) -> Traced:
        place = tmp_path / name / "w"
        place.mkdir(parents=True)
        found = Traced(place)
        found.recipe(RECIPE)
        found.write("in.txt", "text\n")
        return found

    cache = tmp_path / "cache"
    where = ("--cache", str(cache), "--cache-readonly")
    one, two = at("one"), at("two")
    assert one("run", "recipe.yaml", *where).code == 2
    one.run("--cache", str(cache))
    before = {p: p.lstat().st_mtime_ns for p in cache.rglob("*")}
    plan = two("plan", "recipe.yaml", "--json", *where)
    assert {e["status"] for e in plan.events if e["event"] == "step"} == {"restore"}, plan
    assert set(two.run(*where).states.values()) == {"restored"}
    two.write("in.txt", "other\n")
    assert set(two.run(*where).states.values()) == {"ran"}
    assert {p: p.lstat().st_mtime_ns for p in cache.rglob("*")} == before
    shutil.rmtree(two.workspace / "d")
    assert two.run(*where).states["d"] == "restored"
