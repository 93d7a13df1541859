"""Links where f0make works: the person's own are theirs, and nothing that a result or a state brought is followed."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from f0make.cache.blobs import BlobCorrupt, Blobs
from f0make.files.content_digest import tree_token
from f0make.store import log_lines
from f0make.workspace.tree_names import WrongTree, check
from f0make.workspace.workspace_files import FileError, InTheWay, Workspace
from tests.support.contract_tools import TRACE, Traced
from tests.support.f0 import F0

BIG = (
    "steps:\n  - name: big\n    inputs: in.txt\n    outputs: big/\n"
    f"    run: |\n      {TRACE}\n      mkdir -p big/sub; cp in.txt big/sub/a\n"
)
ONE = f"steps:\n  - name: one\n    inputs: in.txt\n    outputs: PATH\n    run: |\n      {TRACE}\n      cp in.txt PATH\n"


@pytest.fixture
def traced(f0: F0) -> Traced:
    return Traced(f0.workspace)


@pytest.fixture
def moved(traced: Traced) -> Traced:
    """An output directory that its owner has moved elsewhere and put a link to in its place."""
    traced.recipe(BIG)
    traced.write("in.txt", "1\n")
    traced.run()
    outside = traced.workspace.parent / "scratch"
    outside.mkdir()
    os.rename(traced.workspace / "big", outside / "big")
    os.symlink("../scratch/big", traced.workspace / "big")
    traced.executed()
    return traced


def outside(traced: Traced) -> list[str]:
    root = traced.workspace.parent / "scratch"
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if not p.is_dir())


def links_aside(traced: Traced) -> dict[str, str]:
    root = traced.workspace / ".f0make" / "displaced"
    return {p.name: os.readlink(p) for p in root.rglob("*") if p.is_symlink()}


def test_a_link_at_an_output_directory_is_the_persons(moved: Traced) -> None:
    result = moved.run()
    assert result.states == {"big": "restored"} and moved.executed() == []
    assert outside(moved) == ["big/sub/a"]
    assert links_aside(moved) == {"big": "../scratch/big"}
    assert "big" in result.stderr and "displaced" in result.stderr
    assert not (moved.workspace / "big").is_symlink() and moved.read("big/sub/a") == "1\n"
    assert moved.run().states == {"big": "current"}


def test_a_link_at_an_output_directory_that_is_made_again(moved: Traced) -> None:
    moved.write("in.txt", "2\n")
    (moved.workspace.parent / "scratch/big/mine").write_text("mine\n")
    assert moved.run().states == {"big": "ran"}
    assert outside(moved) == ["big/mine", "big/sub/a"]
    assert (moved.workspace.parent / "scratch/big/sub/a").read_text() == "1\n"
    assert links_aside(moved) == {"big": "../scratch/big"} and moved.read("big/sub/a") == "2\n"


def test_clean_leaves_the_link_and_what_it_leads_to(moved: Traced) -> None:
    assert moved("clean", "recipe.yaml").code == 0
    assert outside(moved) == ["big/sub/a"] and (moved.workspace / "big").is_symlink()


def test_a_link_inside_an_output_directory(traced: Traced) -> None:
    traced.recipe(BIG)
    traced.write("in.txt", "1\n")
    traced.run()
    scratch = traced.workspace.parent / "scratch"
    scratch.mkdir()
    os.rename(traced.workspace / "big/sub", scratch / "sub")
    os.symlink(scratch / "sub", traced.workspace / "big/sub")
    assert traced.run().states == {"big": "restored"}
    assert outside(traced) == ["sub/a"] and links_aside(traced) == {"sub": str(scratch / "sub")}
    assert traced.read("big/sub/a") == "1\n"


@pytest.mark.parametrize("target", ["elsewhere.txt", "nowhere", "one-link"])
def test_a_link_at_an_output_file(traced: Traced, target: str) -> None:
    """Also one that leads nowhere, and one to a link."""
    traced.recipe(ONE.replace("PATH", "out.txt"))
    traced.write("in.txt", "1\n")
    traced.run()
    traced.write("elsewhere.txt", "1\n")
    os.symlink("elsewhere.txt", traced.workspace / "one-link")
    traced.remove("out.txt")
    os.symlink(target, traced.workspace / "out.txt")
    assert traced.run().states == {"one": "restored"}
    assert links_aside(traced) == {"out.txt": target}
    assert traced.read("elsewhere.txt") == "1\n" and not (traced.workspace / "out.txt").is_symlink()
    assert not (traced.workspace / "nowhere").exists()


def test_a_link_above_an_output_is_followed(traced: Traced) -> None:
    scratch = traced.workspace.parent / "scratch"
    scratch.mkdir()
    os.symlink(scratch, traced.workspace / "link")
    traced.recipe(ONE.replace("PATH", "link/deep/out.txt"))
    traced.write("in.txt", "1\n")
    assert traced.run().states == {"one": "ran"}
    (scratch / "deep/out.txt").unlink()
    assert traced.run().states == {"one": "restored"}
    assert traced.run().states == {"one": "current"}
    (scratch / "deep/out.txt").write_text("mine\n")
    assert traced.run().states == {"one": "restored"}
    assert list(traced.displaced().values()) == ["mine\n"] and outside(traced) == ["deep/out.txt"]
    assert "removed link/deep/out.txt" in traced("clean", "recipe.yaml").stdout and outside(traced) == []


def test_a_link_that_a_result_brought_is_not_followed(traced: Traced) -> None:
    """An instance that is gone has left a link where another one's directory must be."""
    scratch = traced.workspace.parent / "scratch"
    scratch.mkdir()
    traced.recipe(f"steps:\n  - name: link\n    outputs: way\n    run: ln -s {scratch} way\n")
    traced.run()
    traced.recipe(ONE.replace("PATH", "way/out.txt"))
    traced.write("in.txt", "1\n")
    assert traced.run().states == {"one": "ran"}
    assert outside(traced) == [] and traced.read("way/out.txt") == "1\n"
    assert not (traced.workspace / "way").is_symlink()


def test_pipes_and_sockets_at_an_output_are_moved_away(traced: Traced) -> None:
    traced.recipe(ONE.replace("PATH", "out.txt"))
    traced.write("in.txt", "1\n")
    os.mkfifo(traced.workspace / "out.txt")
    assert traced.run().states == {"one": "ran"}
    assert [p.is_fifo() for p in (traced.workspace / ".f0make/displaced").rglob("out.txt")] == [True]
    traced.remove("out.txt")
    os.mkfifo(traced.workspace / "out.txt")
    assert traced.run().states == {"one": "restored"} and traced.read("out.txt") == "1\n"


def test_a_file_in_the_place_of_a_directory_and_the_other_way_round(traced: Traced) -> None:
    traced.recipe(BIG)
    traced.write("in.txt", "1\n")
    traced.run()
    traced.remove("big")
    traced.write("big", "mine\n")
    assert traced.run().states == {"big": "restored"} and traced.read("big/sub/a") == "1\n"
    traced.recipe(ONE.replace("PATH", "big/sub"))
    assert traced.run(code=None).code == 0
    assert traced.read("big/sub") == "1\n"
    assert "mine\n" in traced.displaced().values()


def record(blobs: Blobs, key: str, path: str, tree: dict[str, str]) -> dict[str, object]:
    return {
        "key": key,
        "instance": "big",
        "step": "big",
        "parts": {},
        "inputs": {},
        "outputs": {path: tree_token(tree)},
        "trees": {path: tree},
    }


@pytest.mark.parametrize("way", ["below a link", "upwards", "absolute", "empty name", "below a file", "dot"])
def test_a_hostile_tree_in_a_shared_cache(traced: Traced, way: str) -> None:
    traced.recipe(BIG)
    traced.write("in.txt", "1\n")
    cache = traced.workspace.parent / "cache"
    traced.run("--cache", str(cache))
    (entry,) = [p for p in (cache / "ac").rglob("*") if p.is_file()]
    found = log_lines.decode(entry.read_bytes())
    assert found is not None
    home = traced.workspace.parent / "home"
    home.mkdir()
    (home / ".bashrc").write_text("mine\n")
    blobs = Blobs(str(cache))
    evil = blobs.add_bytes(b"evil\n")
    link = "@" + blobs.add_bytes(os.fsencode(home))
    tree = {
        "below a link": {"a": link, "a/.bashrc": evil},
        "upwards": {"../../home/.bashrc": evil},
        "absolute": {f"{home}/.bashrc": evil},
        "empty name": {f"x//{home}/.bashrc": evil},
        "below a file": {"a": evil, "a/.bashrc": evil},
        "dot": {"./.bashrc": evil, "..": link},
    }[way]
    bad = {**found[1], "outputs": {"big": tree_token(tree)}, "trees": {"big": tree}}
    entry.write_bytes(log_lines.encode("record", bad))
    for name in ("big", ".f0make"):
        traced.remove(name)
    traced.executed()
    assert traced.run("--cache", str(cache)).states == {"big": "ran"}
    assert traced.executed() == ["big"] and traced.read("big/sub/a") == "1\n"
    assert (home / ".bashrc").read_text() == "mine\n" and os.listdir(home) == [".bashrc"]


@pytest.mark.parametrize(
    "tree",
    [
        {"a": "@" + "0" * 64, "a/b": "0" * 64},
        {"a/b/c": "0" * 64, "a/b": "0" * 64},
        {"../x": "0" * 64},
        {"a/../x": "0" * 64},
        {"/x": "0" * 64},
        {"a//x": "0" * 64},
        {"": "0" * 64},
        {".": "/"},
        {"a\0b": "0" * 64},
    ],
)
def test_what_no_directory_can_hold(tmp_path: Path, tree: dict[str, str]) -> None:
    with pytest.raises(WrongTree):
        check(tree)
    with pytest.raises(WrongTree), Workspace(str(tmp_path)) as place:
        place.restore("out", tree_token(tree), tree, Blobs(str(tmp_path / "cache")))
    assert os.listdir(tmp_path) == []
    check({"a": "/", "b/c": "0" * 64, "b/d/e": "0" * 64})


SWAPPER = """
import os, sys
while os.getppid() == int(sys.argv[1]):
    for old, new in (("out/sub", "out/aside"), (None, None), ("out/aside", "out/sub")):
        try:
            if old is None:
                os.symlink("../outside", "out/sub"), os.unlink("out/sub")
            else:
                os.rename(old, new)
        except OSError:
            pass
"""


def test_a_directory_that_turns_into_a_link_meanwhile(tmp_path: Path) -> None:
    """A neighbour swaps a directory inside an output for a link, over and over."""
    blobs = Blobs(str(tmp_path / "cache"))
    tree = {f"sub/{n}": blobs.add_bytes(b"%d" % n) for n in range(20)}
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine").write_text("mine")
    (tmp_path / "out" / "sub").mkdir(parents=True)
    neighbour = subprocess.Popen([sys.executable, "-c", SWAPPER, str(os.getpid())], cwd=tmp_path)
    try:
        until = time.monotonic() + 1.0
        rounds = 0
        with Workspace(str(tmp_path)) as place:
            while time.monotonic() < until or rounds < 5:
                rounds += 1
                for act in (
                    lambda: place.restore("out", tree_token(tree), tree, blobs, have={}),
                    lambda: place.prune("out", {"sub"}),
                    lambda: place.protect("out"),
                    lambda: place.remove("out/sub"),
                    lambda: os.makedirs(tmp_path / "out/sub", exist_ok=True),
                ):
                    try:
                        act()
                    except OSError:
                        continue
    finally:
        neighbour.kill()
        neighbour.wait()
    assert os.listdir(outside) == ["mine"] and os.stat(outside / "mine").st_mode & 0o200


def test_only_what_may_be_followed_is(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    os.symlink("real", tmp_path / "own")
    os.symlink("real", tmp_path / "brought")
    os.symlink("real", tmp_path / "other")
    if os.geteuid() == 0:
        os.chown(tmp_path / "other", 65534, 65534, follow_symlinks=False)
    with Workspace(str(tmp_path), lambda path: path == "brought") as place:
        assert place.make_parents("own/new/x") == ["own/new"] and (tmp_path / "real/new").is_dir()
        for path in ("brought", *(("other",) if os.geteuid() == 0 else ())):
            assert place.blocker(f"{path}/x") == path
            with pytest.raises(InTheWay, match="does not follow"):
                place.make_parents(f"{path}/x")
            place.remove(f"{path}/new")
            assert (tmp_path / "real/new").is_dir()
        with pytest.raises(FileError):
            place.restore("brought/x", hashlib.sha256(b"").hexdigest(), None, Blobs(str(tmp_path / "c")))


STATE_FILES = ("runs.log", "records.log", "lock", "signatures", ".gitignore")
STATE_DIRECTORIES = ("run", "logs", "snapshots", "displaced", "failed")
CACHE_NAMES = ("cas", "tmp", "in-use")


@pytest.mark.parametrize(
    "name", [*STATE_FILES, *STATE_DIRECTORIES, *(f"cache/{name}" for name in CACHE_NAMES)]
)
def test_links_inside_the_state_are_refused(traced: Traced, name: str) -> None:
    traced.recipe(ONE.replace("PATH", "out.txt"))
    traced.write("in.txt", "1\n")
    victim = traced.workspace.parent / "victim"
    victim.mkdir()
    for file in (".bashrc", "run-1", "script-1", "worker-1"):
        (victim / file).write_text("mine\n")
    directory = name in STATE_DIRECTORIES or name in ("cache/cas", "cache/tmp")
    target = victim if directory else victim / ".bashrc"
    traced.write(".f0make/cache/x", "")
    os.symlink(target, traced.workspace / ".f0make" / name)
    result = traced("run", "recipe.yaml")
    assert result.code == 2 and len(result.stderr.splitlines()) == 1
    assert name in result.stderr and "symbolic link" in result.stderr
    assert sorted(os.listdir(victim)) == [".bashrc", "run-1", "script-1", "worker-1"]
    assert all((victim / file).read_text() == "mine\n" for file in os.listdir(victim))


def test_what_a_killed_run_was_restoring_goes(traced: Traced) -> None:
    traced.recipe(ONE.replace("PATH", "out.txt"))
    traced.write("in.txt", "1\n")
    traced.run()
    traced.write(".f0make/run/restore-1-2/half", "x")
    traced.write(".f0make/run/.f0make-1-2.tmp", "x")
    assert traced.run().states == {"one": "current"}
    assert os.listdir(traced.workspace / ".f0make/run") == []


def test_the_state_itself_may_be_a_link(traced: Traced) -> None:
    state = traced.workspace.parent / "state"
    state.mkdir()
    os.symlink(state, traced.workspace / ".f0make")
    traced.recipe(ONE.replace("PATH", "out.txt"))
    traced.write("in.txt", "1\n")
    assert traced.run().states == {"one": "ran"} and (state / "records.log").exists()
    if os.geteuid() == 0:
        os.chown(state, 65534, 65534)
        os.chown(traced.workspace / ".f0make", 65533, 65533, follow_symlinks=False)
        assert traced("run", "recipe.yaml").code == 2


def test_a_damaged_link_in_a_cache_is_no_result(tmp_path: Path) -> None:
    blobs = Blobs(str(tmp_path / "cache"))
    digest = blobs.add_bytes(b"")
    with pytest.raises(BlobCorrupt), Workspace(str(tmp_path)) as place:
        place.restore("l", "@" + digest, None, blobs)
