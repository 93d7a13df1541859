"""A `.f0make` that somebody else wrote, and workspaces of others: state may be lost, nothing is executed or believed."""

from __future__ import annotations

import os
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.contract_tools import TRACE, Traced
from tests.support.f0 import F0
from tests.support.other_user import As, needs_root, reachable

RECIPE = f"""\
steps:
  - name: copy
    foreach:
      n:
        range: 1..3
    inputs: in.txt
    outputs: out/${{{{ n }}}}.txt
    run: |
      {TRACE}
      cp in.txt ${{{{ outputs }}}}
"""
DERIVED = ("steps", "code", "signatures", "records.idx", "snapshots")
CRASH = b"\xfb\xff\xff\xff\x7f" + b"(" * 2000 + b"\xe3" + b"\xff" * 200
"""What makes `marshal.loads` misbehave."""


@pytest.fixture
def traced(f0: F0) -> Traced:
    """A workspace with the recipe."""
    found = Traced(f0.workspace)
    found.recipe(RECIPE)
    found.write("in.txt", "text\n")
    return found


def home(f0: Traced, name: str) -> dict[str, str]:
    """The environment of somebody with a home of his own."""
    place = f0.workspace.parent / name
    place.mkdir(exist_ok=True)
    return {"HOME": str(place), "XDG_CONFIG_HOME": ""}


def test_derived_state_of_somebody_else_does_not_count(traced: Traced) -> None:
    """An attacker's own f0make writes a snapshot in which the reviewed recipe runs another command."""
    mallory, victim = home(traced, "mallory"), home(traced, "victim")
    traced.write("recipe.yaml", RECIPE.replace("cp in.txt", "echo evil > EVIL; cp in.txt"))
    traced.run(env=mallory), traced.run(env=mallory)
    traced.remove("EVIL"), traced.executed()
    # The signatures of the files are as they were, as far as mallory can see to that.
    for name in ("steps", "snapshots"):
        assert traced.exists(f".f0make/{name}")
    recipe = traced.workspace / "recipe.yaml"
    inode = recipe.stat().st_ino
    recipe.write_text(RECIPE)
    assert recipe.stat().st_ino == inode
    traced.write("in.txt", "other\n")
    for words in (("validate", "recipe.yaml"), ("plan", "recipe.yaml"), ("why", "recipe.yaml", "copy")):
        assert traced(*words, env=victim).code == 0
    assert set(traced.run(env=victim).states.values()) == {"ran"}
    assert not traced.exists("EVIL")
    assert len(traced.executed()) == 3


def test_the_log_of_somebody_else_is_taken_over(traced: Traced) -> None:
    """A workspace that is copied to another machine with its `.f0make`: nothing runs again."""
    traced.run(env=home(traced, "here"))
    for _ in range(2):
        assert set(traced.run(env=home(traced, "there")).states.values()) == {"current"}
    assert len(traced.executed()) == 3


def test_bytes_that_crash_marshal(traced: Traced) -> None:
    traced.run(), traced.run()
    state = traced.workspace / ".f0make"
    files = [p for name in DERIVED for p in (state / name, *(state / name).glob("*")) if p.is_file()]
    whole = {path: path.read_bytes() for path in files}
    assert len(files) >= 2
    for checksum in ("crc", "none", "kept"):
        for path, data in whole.items():
            magic = data[: data.index(b"\n") + 1]
            size = 8 * (b"snapshot" in magic or b"idx" in magic)
            digest = {"crc": zlib.crc32(CRASH).to_bytes(4, "big"), "none": b"\0" * 16}.get(
                checksum, data[len(magic) + size + len(magic) * bool(size) :][:16]
            )
            inner = (magic if size else b"") + digest + CRASH
            path.write_bytes(magic + len(inner).to_bytes(8, "big")[:size] + inner)
        for words in (("plan", "recipe.yaml"), ("validate", "recipe.yaml"), ("list", "recipe.yaml")):
            result = traced(*words)
            assert result.code == 0 and "internal" not in result.stderr, (checksum, result)
    assert set(traced.run().states.values()) == {"current"}


@pytest.mark.parametrize("how", ["no home", "read-only home", "a link", "a file for all", "too short"])
def test_without_a_key_it_works_as_well(traced: Traced, how: str) -> None:
    environment = home(traced, "home")
    place = Path(environment["HOME"])
    key = place / ".config" / "f0make" / "state.key"
    if how == "no home":
        environment["HOME"] = ""
    elif how == "read-only home":
        (place / ".config").write_text("in the way")
    else:
        key.parent.mkdir(parents=True)
        (place / "elsewhere").write_bytes(b"k" * 32)
        if how == "a link":
            key.symlink_to(place / "elsewhere")
        else:
            key.write_bytes(b"k" * (32 if how == "a file for all" else 5))
            key.chmod(0o644 if how == "a file for all" else 0o600)
    traced.run(env=environment)
    assert set(traced.run(env=environment).states.values()) == {"current"}
    assert not any(
        (traced.workspace / ".f0make" / name).exists() for name in ("records.idx", "steps", "snapshots")
    )
    traced.write("in.txt", "changed\n")
    assert set(traced.run(env=environment).states.values()) == {"ran"}


def test_the_key_and_the_state_are_private(traced: Traced) -> None:
    environment = home(traced, "home")
    traced.run(env=environment)
    key = Path(environment["HOME"], ".config", "f0make", "state.key")
    assert (key.stat().st_mode & 0o777, key.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    state = traced.workspace / ".f0make"
    assert state.stat().st_mode & 0o777 == 0o700
    state.chmod(0o755)  # as an older f0make made it
    traced.run("--rehash", env=environment)
    assert state.stat().st_mode & 0o777 == 0o700
    first = key.read_bytes()
    traced.run("--rehash", env=environment)
    assert key.read_bytes() == first


def test_every_file_of_the_state_is_for_its_owner_alone(traced: Traced) -> None:
    """Also where its directory has become a link's end, or was copied by a tool that gives other rights."""
    traced.write("mod.py", "def main():\n    print('said')\n")
    recipe = (
        "steps:\n  - name: py\n    module: mod\n    function: main\n  - name: bad\n    retries: 1\n    run: echo no; exit 3\n"
        "  - name: good\n    outputs: o\n    run: echo yes; cat in.txt > o\n"
    )
    traced.recipe(recipe)
    environment = home(traced, "home")
    for text in ("1", "2", "3"):
        traced.write("in.txt", text)
        traced("run", "recipe.yaml", "-k", env=environment)
    traced.recipe(recipe.replace("exit 3", "exit 0"))
    for text in ("4", "5"):
        traced.write("in.txt", text)
        traced.run(env=environment)
    state = traced.workspace / ".f0make"
    files = [path for path in state.rglob("*") if path.is_file() and state / "cache" not in path.parents]
    assert {"records.log", "runs.log", "lock", "signatures", "steps", ".gitignore"} <= {
        path.name for path in files
    }
    assert {path.parent.name for path in files} >= {"logs", "snapshots"}
    assert {str(path) for path in files if path.stat().st_mode & 0o077} == set()


def test_links_inside_the_state(traced: Traced) -> None:
    """What f0make writes it writes to files of its own; `.f0make` itself may be a link."""
    mine = traced.workspace.parent / "bashrc"
    mine.write_text("mine\n")
    for name in (
        "runs.log",
        "records.log",
        "lock",
        "signatures",
        "steps",
        "records.idx",
        "run",
        "logs",
        "snapshots",
    ):
        shutil.rmtree(traced.workspace / ".f0make", ignore_errors=True)
        (traced.workspace / ".f0make").mkdir()
        (traced.workspace / ".f0make" / name).symlink_to(mine)
        result = traced("run", "recipe.yaml", timeout=20)
        assert "internal" not in result.stderr and result.code in (0, 1, 2), (name, result)
        assert mine.read_text() == "mine\n", name
    shutil.rmtree(traced.workspace / ".f0make")
    (traced.workspace.parent / "elsewhere").mkdir()
    (traced.workspace / ".f0make").symlink_to("../elsewhere")
    traced.run()
    assert set(traced.run().states.values()) == {"current"}


def test_state_files_that_are_no_files(traced: Traced) -> None:
    traced.run()
    state = traced.workspace / ".f0make"
    for names in (
        ("records.idx", "signatures", "steps", "code"),
        ("runs.log",),
        ("records.log",),
        ("snapshots/x",),
    ):
        for name in names:
            path = state / name
            if name.startswith("snapshots"):
                found = list((state / "snapshots").iterdir())
                for old in found:
                    old.unlink()
                    os.mkfifo(old)
                continue
            path.unlink(missing_ok=True)
            os.mkfifo(path)
        for verb in ("plan", "run"):
            result = traced(verb, "recipe.yaml", timeout=20)
            assert "internal error" not in result.stderr and result.code in (0, 1, 2), (names, result)
        for name in names:
            (state / name).unlink(missing_ok=True)


# Workspaces of other users.

VERBS = (
    *(
        ("run", "recipe.yaml"),
        ("plan", "recipe.yaml"),
        ("why", "recipe.yaml", "copy"),
        ("validate", "recipe.yaml"),
    ),
    *(("list", "recipe.yaml"), ("graph", "recipe.yaml"), ("clean", "recipe.yaml", "--dry-run"), ("history",)),
    *(("status",), ("cache", "stats"), ("log", "copy", "recipe.yaml"), ("context", "recipe.yaml")),
)


@pytest.fixture
def others() -> Iterator[Traced]:
    """A workspace to which other users have a way."""
    with reachable() as above:
        found = Traced(above / "workspace")
        found.workspace.mkdir()
        found.recipe(RECIPE)
        found.write("in.txt", "text\n")
        yield found


@needs_root
def test_a_workspace_of_another_user(others: Traced) -> None:
    bob = As(others.workspace, "bob")
    alice = As(others.workspace, "alice")
    alice.give(others.workspace)
    others.workspace.chmod(0o777)
    (others.workspace.parent / "trace").touch()
    (others.workspace.parent / "trace").chmod(0o666)
    for words in VERBS:
        result = bob(*words)
        assert result.code == 2 and "--trust" in result.stderr, (words, result)
        assert len(result.stderr.strip().splitlines()) == 1
    assert not others.exists(".f0make") and not others.exists("out")
    assert bob("plan", "recipe.yaml", "--trust").code == 0
    assert bob("--trust", "validate", "recipe.yaml").code == 0
    assert alice.run().code == 0
    others.workspace.joinpath(".f0make").chmod(0o755)
    # root has its own rules, those of git: what root owns, and what the user owns who called sudo.
    assert others("plan", "recipe.yaml").code == 2
    assert others("plan", "recipe.yaml", env={"SUDO_UID": str(alice.uid)}).code == 0
    assert others("plan", "recipe.yaml", env={"SUDO_UID": str(bob.uid)}).code == 2
    assert others("run", "recipe.yaml", "--trust").code == 0


@needs_root
def test_a_state_of_another_user_in_a_workspace_of_ones_own(others: Traced) -> None:
    bob = As(others.workspace, "bob")
    others.run()
    others.executed()
    (others.workspace.parent / "trace").touch()
    (others.workspace.parent / "trace").chmod(0o666)
    os.chown(others.workspace, bob.uid, bob.uid)
    for words in VERBS:
        result = bob(*words)
        assert result.code == 2 and ".f0make" in result.stderr and "--trust" in result.stderr, (words, result)
    bob.give(others.workspace)
    assert set(bob.run().states.values()) == {"current"}


@pytest.mark.parametrize("how", ["pipe", "directory", "file", "holes", "socket"])
def test_what_is_of_another_kind_is_set_aside(traced: Traced, how: str) -> None:
    """Whatever lies there under a name of f0make's: a line says so, the run goes on, and the next one is as any other."""
    names = ("lock", "records.log", "runs.log", "signatures", "cache/usage.log", "logs", "run", "snapshots")
    traced.run(), traced.run()
    traced.executed()
    state = traced.workspace / ".f0make"
    for name in names:
        path = state / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        if how == "pipe":
            os.mkfifo(path)
        elif how == "directory":
            path.mkdir()
        elif how == "socket":
            os.mknod(path, 0o140600)
        else:
            with path.open("wb") as file:
                file.truncate(10 << 30 if how == "holes" else 0)
    plan = traced("plan", "recipe.yaml", timeout=20)
    assert plan.code == 0 or (plan.code == 1 and "records.log" in plan.stderr), plan
    files = ("lock", "records.log", "runs.log", "signatures", "cache/usage.log")
    odd = {"directory": files, "file": ("logs", "run", "snapshots")}.get(how, names)
    first = traced("run", "recipe.yaml", timeout=30)
    assert first.code == 0, first.stderr
    for name in odd:
        assert f".f0make/{name} is" in first.stderr, (name, first.stderr)
    again = traced("run", "recipe.yaml", "--json", timeout=20)
    assert set(again.states.values()) == {"current"} and "moved to" not in again.stderr, again
    assert traced("history", "recipe.yaml", timeout=20).code == 0
