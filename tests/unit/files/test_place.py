"""Moving away, removing and restoring, on real files."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from f0make.cache.blobs import BlobCorrupt, BlobMissing, Blobs
from f0make.files import store_outputs
from f0make.files.content_cache import Contents
from f0make.files.content_digest import FileError
from f0make.workspace.workspace_files import Workspace


def write(path: Path, data: bytes = b"x", mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(mode)
    return path


def test_displaced_files_never_meet(tmp_path: Path) -> None:
    root = str(tmp_path)
    places = []
    for n in range(3):
        write(tmp_path / "out" / "a\n.txt", b"%d" % n)
        places.append(Workspace(root).displace("out/a\n.txt", "r1"))
    base = ".f0make/displaced/r1/out/a\n.txt"
    assert places == [base, f"{base}.1", f"{base}.2"]
    assert [(tmp_path / p).read_bytes() for p in places] == [b"0", b"1", b"2"]
    assert Workspace(root).displace("out/a\n.txt", "r1") == ""


def test_a_displaced_file_in_the_way_of_a_directory(tmp_path: Path) -> None:
    root = str(tmp_path)
    write(tmp_path / "a", b"file")
    assert Workspace(root).displace("a", "r") == ".f0make/displaced/r/a"
    write(tmp_path / "a" / "b", b"below")
    assert Workspace(root).displace("a/b", "r") == ".f0make/displaced/r/a.1/b"
    os.symlink("/nowhere", tmp_path / "a" / "l")
    moved = Workspace(root).displace("a/l", "r")
    assert os.readlink(tmp_path / moved) == "/nowhere"
    moved = Workspace(root).fail_aside("a", "r")
    assert moved == ".f0make/failed/r/a"
    assert (tmp_path / moved).is_dir()


def test_only_what_lies_in_the_workspace(tmp_path: Path) -> None:
    for path in ("/etc/passwd", "../x", "a/../../x", "", "."):
        with pytest.raises(ValueError, match="inside the workspace"):
            Workspace(str(tmp_path)).displace(path, "r")


def test_names_that_get_too_long(tmp_path: Path) -> None:
    name = "n" * 255
    for data in (b"1", b"2"):
        write(tmp_path / name, data)
        moved = Workspace(str(tmp_path)).displace(name, "r")
        assert (tmp_path / moved).read_bytes() == data


def test_remove_takes_anything_and_follows_nothing(tmp_path: Path) -> None:
    root = str(tmp_path)
    outside = write(tmp_path / "outside" / "keep")
    tree = tmp_path / "tree"
    write(tree / "deep" / "er" / "f", mode=0o444)
    os.symlink("../outside", tree / "link")
    for directory in (tree / "deep" / "er", tree / "deep", tree):
        directory.chmod(0o555)
    Workspace(root).remove("tree")
    assert not tree.exists()
    assert outside.exists()
    os.symlink("outside", tmp_path / "l")
    Workspace(root).remove("l")
    Workspace(root).remove("l")
    Workspace(root).remove("outside/keep/below")
    assert outside.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_read_only_trees_of_an_ordinary_user(tmp_path: Path) -> None:
    # pytest's own folders are closed to other users, at whatever depth.
    for directory in (tmp_path, *(p for p in tmp_path.parents if "pytest" in str(p))):
        directory.chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 65534, 65534)
    code = """
import os, sys
from f0make.workspace.workspace_files import Workspace
os.setgid(65534)
os.setuid(65534)
root = sys.argv[1]
os.chdir(root)
for name in ("a", "b"):
    os.makedirs(f"{name}/deep")
    open(f"{name}/deep/f", "w").close()
    Workspace(root).protect(name)
    try:
        open(f"{name}/deep/g", "w")
    except PermissionError:
        print("protected")
    try:
        open(f"{name}/deep/f", "w")
    except PermissionError:
        print("protected")
Workspace(root).remove("a")
print(Workspace(root).displace("b", "r"), sorted(os.listdir(".")))
"""
    done = subprocess.run([sys.executable, "-c", code, str(home)], capture_output=True, text=True)
    assert done.stdout.split("\n")[:4] == ["protected"] * 4, done.stderr
    assert done.stdout.split("\n")[4] == ".f0make/displaced/r/b ['.f0make']"


def test_make_parents(tmp_path: Path) -> None:
    root = str(tmp_path)
    Workspace(root).make_parents("a/b/c")
    Workspace(root).make_parents("top")
    assert (tmp_path / "a" / "b").is_dir()
    write(tmp_path / "f")
    assert Workspace(root).blocker("f/x/y") == "f"
    assert Workspace(root).blocker("a/b/c/d") is None
    with pytest.raises(FileError, match="'f' is no directory"):
        Workspace(root).make_parents("f/x/y")


def test_protect_takes_write_permission_only(tmp_path: Path) -> None:
    tool = write(tmp_path / "tool", mode=0o775)
    Workspace(str(tmp_path)).protect("tool")
    assert stat.S_IMODE(tool.stat().st_mode) == 0o555
    os.symlink("tool", tmp_path / "l")
    tool.chmod(0o755)
    Workspace(str(tmp_path)).protect("l")
    assert stat.S_IMODE(tool.stat().st_mode) == 0o755


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(str(tmp_path / ".f0make" / "cache"))


def test_files_and_links_come_back(tmp_path: Path, blobs: Blobs) -> None:
    root = str(tmp_path)
    write(tmp_path / "out" / "tool\udcff", b"#!", 0o755)
    write(tmp_path / "out" / "empty", b"")
    os.symlink("tool", tmp_path / "out" / "l")
    contents = Contents(root)
    tokens = {}
    for path in ("out/tool\udcff", "out/empty", "out/l"):
        token = contents.own(path)
        assert token is not None
        tokens[path] = token
        store_outputs.keep(root, path, token, None, blobs)
        Workspace(root).remove(path)
    Workspace(root).remove("out")
    for path, token in tokens.items():
        signatures = Workspace(root).restore(path, token, None, blobs)
        assert contents.own(path) == token
        found = {file: signature for file, (signature, _) in signatures.items()}
        assert found == ({} if path == "out/l" else {path: contents.signature(path)})
    assert not list((tmp_path / ".f0make").glob("run/*"))


def test_the_mode_of_restored_files_follows_the_umask(tmp_path: Path, blobs: Blobs) -> None:
    root = str(tmp_path)
    write(tmp_path / "f", b"1", 0o700)
    token = Contents(root).token("f")
    assert token is not None
    store_outputs.keep(root, "f", token, None, blobs)
    Workspace(root).remove("f")
    before = os.umask(0o027)
    try:
        Workspace(root).restore("f", token, None, blobs)
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(tmp_path / "f").st_mode) == 0o750


def make_tree(root: Path) -> None:
    write(root / "d" / "sub" / "f", b"f")
    write(root / "d" / "t", b"t", 0o755)
    (root / "d" / "none").mkdir()
    os.symlink("sub/f", root / "d" / "l")


def test_trees_come_back_whole_or_in_parts(tmp_path: Path, blobs: Blobs) -> None:
    root = str(tmp_path)
    make_tree(tmp_path)
    contents = Contents(root)
    token, tree = contents.token("d"), contents.tree("d")
    assert token is not None
    store_outputs.keep(root, "d", token, tree, blobs)
    Workspace(root).remove("d")
    signatures = Workspace(root).restore("d", token, tree, blobs)
    assert contents.token("d") == token
    found = {file: signature for file, (signature, _) in signatures.items()}
    assert found == {p: contents.signature(p) for p in ("d/sub/f", "d/t")}

    Workspace(root).remove("d/sub")
    Workspace(root).remove("d/none")
    Workspace(root).remove("d/l")
    inode = os.stat(tmp_path / "d" / "t").st_ino
    signatures = Workspace(root).restore("d", token, tree, blobs, have=contents.tree("d"))
    assert contents.token("d") == token
    assert list(signatures) == ["d/sub/f"]
    assert os.stat(tmp_path / "d" / "t").st_ino == inode


def test_nothing_in_the_way_is_overwritten(tmp_path: Path, blobs: Blobs) -> None:
    root = str(tmp_path)
    make_tree(tmp_path)
    contents = Contents(root)
    token, tree = contents.token("d"), contents.tree("d")
    assert token is not None
    store_outputs.keep(root, "d", token, tree, blobs)
    write(tmp_path / "d" / "sub" / "f", b"mine")
    with pytest.raises(FileError, match="in the way"):
        Workspace(root).restore("d", token, tree, blobs, have=contents.tree("d"))
    assert (tmp_path / "d" / "sub" / "f").read_bytes() == b"mine"
    with pytest.raises(FileError, match="in the way"):
        Workspace(root).restore("d/sub", tree["t"], None, blobs)
    with pytest.raises(FileError, match="in the way"):
        Workspace(root).restore("d/t", tree["t"], None, blobs)
    with pytest.raises(FileError, match="in the way"):
        Workspace(root).restore("d/l", tree["l"], None, blobs)
    Workspace(root).remove("d/sub/f")
    Workspace(root).restore("d", token, tree, blobs, have=contents.tree("d"))
    assert contents.token("d") == token


def test_missing_and_corrupt_blobs_leave_nothing(tmp_path: Path, blobs: Blobs) -> None:
    root = str(tmp_path)
    make_tree(tmp_path)
    contents = Contents(root)
    token, tree = contents.token("d"), contents.tree("d")
    assert token is not None
    store_outputs.keep(root, "d", token, tree, blobs)
    Workspace(root).remove("d")
    broken = Path(blobs.path(tree["t"][:64]))
    broken.chmod(0o644)
    broken.write_bytes(b"!")
    with pytest.raises(BlobCorrupt):
        Workspace(root).restore("d", token, tree, blobs)
    with pytest.raises(BlobMissing):
        Workspace(root).restore("d", token, tree, blobs)
    with pytest.raises(BlobMissing):
        Workspace(root).restore("t", tree["t"], None, blobs)
    assert sorted(os.listdir(tmp_path)) == [".f0make"]
    assert not list((tmp_path / ".f0make").glob("run/*"))


@pytest.fixture
def other_device(tmp_path: Path):  # type: ignore[no-untyped-def]
    """An output directory on a file system of its own."""
    mounted = tmp_path / "out"
    mounted.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "none", str(mounted)]).returncode:
        pytest.skip("cannot mount a tmpfs")
    yield "out"
    subprocess.run(["umount", str(mounted)], check=True)


def test_across_file_systems(tmp_path: Path, blobs: Blobs, other_device: str) -> None:
    root = str(tmp_path)
    make_tree(tmp_path / "out")
    write(tmp_path / "out" / "f", b"file", 0o711)
    contents = Contents(root)
    for path in ("out/d", "out/f"):
        token = contents.token(path)
        assert token is not None
        tree = contents.tree(path) or None
        store_outputs.keep(root, path, token, tree, blobs)
        moved = Workspace(root).displace(path, "r")
        assert contents.token(path) is None
        assert contents.token(moved) == token
        Workspace(root).restore(path, token, tree, blobs)
        assert contents.token(path) == token
    assert sorted(os.listdir(tmp_path / "out")) == ["d", "f"]
