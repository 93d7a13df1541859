"""Tokens of real files, and when the stat cache may be trusted."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from f0make.files import content_digest, signature
from f0make.files.content_cache import Contents
from f0make.files.content_digest import FileError
from tests.support.examples import examples


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def settled(root: Path) -> None:
    """Wait until what was just written is older than the clock that stamps files."""
    probe = root / ".probe"
    probe.write_bytes(b"")
    assert signature.wait_for_tick(probe.stat().st_ctime_ns, 1.0)
    probe.unlink()


def test_tokens_of_each_kind(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"hello")
    (tmp_path / "tool").write_bytes(b"hello")
    (tmp_path / "tool").chmod(0o755)
    (tmp_path / "link").symlink_to("tool")
    (tmp_path / "chain").symlink_to(tmp_path / "link")
    (tmp_path / "lost").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    contents = Contents(str(tmp_path))
    tool = sha(b"hello") + "x"
    assert contents.token("plain") == sha(b"hello")
    assert contents.token("tool") == tool
    assert contents.token("link") == contents.token("chain") == tool
    assert contents.token("lost") is None and contents.token("loop") is None
    assert contents.own("link") == f"@{sha(b'tool')}"
    assert contents.own("chain") == f"@{sha(os.fsencode(tmp_path / 'link'))}"
    assert contents.own("lost") == f"@{sha(b'nowhere')}"
    assert contents.token("absent") is None
    assert contents.token("plain/below") is None
    assert contents.token("a\0b") is None
    assert contents.token(str(tmp_path / "plain")) == sha(b"hello")


def test_a_directory_is_its_sorted_entries(tmp_path: Path) -> None:
    tree = tmp_path / "d"
    (tree / "sub").mkdir(parents=True)
    (tree / "none").mkdir()
    (tree / "sub" / "b").write_bytes(b"b")
    (tree / "a.sh").write_bytes(b"a")
    (tree / "a.sh").chmod(0o700)
    (tree / "l").symlink_to("sub/b")
    contents = Contents(str(tmp_path))
    wanted = {"a.sh": sha(b"a") + "x", "l": "@" + sha(b"sub/b"), "none": "/", "sub/b": sha(b"b")}
    assert contents.tree("d") == wanted
    assert list(contents.tree("d")) == sorted(wanted)
    lines = b"".join(n.encode() + b"\0" + t.encode() + b"\n" for n, t in sorted(wanted.items()))
    assert contents.token("d") == sha(lines) + "/"
    assert contents.tree(str(tree)) == wanted
    assert contents.tree("absent") == {} == contents.tree("d/a.sh")
    (tmp_path / "dl").symlink_to("d")
    assert contents.token("dl") == f"{sha(lines)}/"
    assert contents.own("dl") == f"@{sha(b'd')}"
    rows = contents.rows()
    assert rows["d/sub"][0] == signature.of(os.lstat(tree / "sub"))
    assert rows["d/sub"][1] is None
    assert rows["absent"] == (None, None, False)


@pytest.mark.parametrize("name", ["new\nline", "tab\t'quote\"", "ü", " ", "\udcff\udc80", "-rf", "a\\b"])
def test_odd_names(tmp_path: Path, name: str) -> None:
    full = os.path.join(tmp_path, "d", name)
    os.mkdir(tmp_path / "d")
    with open(full, "wb") as file:
        file.write(b"x")
    contents = Contents(str(tmp_path))
    assert contents.token(f"d/{name}") == sha(b"x")
    assert contents.tree("d") == {name: sha(b"x")}
    assert contents.token("d") == sha(os.fsencode(name) + b"\0" + sha(b"x").encode() + b"\n") + "/"
    saved = str(tmp_path / "signatures")
    contents.save(saved)
    again = Contents(str(tmp_path))
    assert again.load(saved)
    assert again.token(f"d/{name}") == sha(b"x")


def test_an_unchanged_file_is_read_once(tmp_path: Path) -> None:
    for n in range(5):
        (tmp_path / f"f{n}").write_bytes(b"%d" % n)
    settled(tmp_path)
    first = Contents(str(tmp_path))
    tokens = [first.token(f"f{n}") for n in range(5)]
    assert first.hashed_files == 5
    assert [first.token(f"f{n}") for n in range(5)] == tokens
    assert first.hashed_files == 5
    saved = str(tmp_path / "signatures")
    first.save(saved)
    second = Contents(str(tmp_path))
    assert second.load(saved)
    assert [second.token(f"f{n}") for n in range(5)] == tokens
    assert second.hashed_files == 0
    third = Contents(str(tmp_path))
    third.load(saved)
    third.rehash = True
    assert [third.token(f"f{n}") for n in range(5)] == tokens == [third.token(f"f{n}") for n in range(5)]
    assert third.hashed_files == 5


def test_a_same_size_edit_within_the_tick_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "f"
    for n in range(300):
        path.write_bytes(b"%04d" % n)
        contents = Contents(str(tmp_path))
        contents.token("f")
        with open(path, "r+b") as file:
            file.write(b"x%03d" % n)
        assert contents.token("f") == sha(b"x%03d" % n)


def test_a_forged_mtime_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"before")
    settled(tmp_path)
    contents = Contents(str(tmp_path))
    contents.token("f")
    old = path.stat()
    path.write_bytes(b"AFTER!")
    os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))
    assert path.stat().st_mtime_ns == old.st_mtime_ns
    assert contents.token("f") == sha(b"AFTER!")
    os.utime(path, (time.time() + 1e6, time.time() + 1e6))
    assert contents.token("f") == sha(b"AFTER!")
    settled(tmp_path)
    contents.token("f")
    path.write_bytes(b"FUTURE")
    assert contents.token("f") == sha(b"FUTURE")


def test_a_replaced_file_with_the_same_stamps_is_noticed(tmp_path: Path) -> None:
    path, other = tmp_path / "f", tmp_path / "g"
    path.write_bytes(b"one")
    other.write_bytes(b"two")
    settled(tmp_path)
    contents = Contents(str(tmp_path))
    contents.token("f")
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.replace(path)
    assert contents.token("f") == sha(b"two")


def test_the_executable_bit_counts(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"one")
    settled(tmp_path)
    contents = Contents(str(tmp_path))
    assert contents.token("f") == sha(b"one")
    path.chmod(0o755)
    assert contents.token("f") == sha(b"one") + "x"


def test_settle_makes_racy_rows_trusted(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_bytes(b"1")
    (tmp_path / "d" / "l").symlink_to("f")
    (tmp_path / "link").symlink_to("d")
    contents = Contents(str(tmp_path))
    contents.token("d")
    contents.token("link")
    contents.learn("d/f", signature.of(os.lstat(tmp_path / "d" / "f")), sha(b"1"))
    assert contents.rows()["d/f"][2]
    assert contents.settle() == []
    assert not any(row[2] for row in contents.rows().values())


def test_settle_tells_what_changed_and_keeps_to_its_budget(tmp_path: Path) -> None:
    contents = Contents(str(tmp_path))
    (tmp_path / "d").mkdir()
    for name in ("small", "large"):
        (tmp_path / name).write_bytes(name.encode() * (1 if name == "small" else 1000))
        sig = signature.of(os.lstat(tmp_path / name))
        contents.learn(name, sig, "0" * 64)
    contents.tree("d")
    contents._asked["d"] = (contents._asked["d"][0], None, True)
    contents._names["d"] = ["was here"]
    assert sorted(contents.settle(budget=100)) == ["d", "small"]
    assert contents.rows()["large"][2]
    assert not contents.rows()["small"][2]


def test_learned_tokens_save_reading(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    settled(tmp_path)
    sig, token, clock = content_digest.read_stable(str(tmp_path / "f"))[:3]
    contents = Contents(str(tmp_path))
    contents.learn("f", (*sig, clock), token, clock)
    assert contents.token("f") == sha(b"abc")
    assert contents.hashed_files == 0
    contents.learn("f", sig, token)
    assert contents.token("f") == sha(b"abc")
    assert contents.hashed_files == 1


def test_forget(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_bytes(b"1")
    contents = Contents(str(tmp_path))
    contents.token("d")
    contents.forget("d")
    assert contents.rows() == {}


def test_what_has_no_contents_is_said_clearly(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    contents = Contents(str(tmp_path))
    with pytest.raises(FileError, match="'pipe' is a named pipe"):
        contents.token("pipe")
    with pytest.raises(FileError, match="character device"):
        contents.token("/dev/null")
    (tmp_path / "d").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "d" / "s"))
        with pytest.raises(FileError, match="d/s' is a socket"):
            contents.token("d")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_what_cannot_be_read_is_said_clearly(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"secret")
    (tmp_path / "f").chmod(0)
    for place in (tmp_path, *tmp_path.parents[:2]):
        place.chmod(0o755)
    code = (
        "import os, sys\n"
        "from f0make.files.content_cache import Contents\n"
        "from f0make.files.content_digest import FileError\n"
        "os.setuid(65534)\n"
        "try: Contents(sys.argv[1]).token('f')\n"
        "except FileError as e: print(e)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert "'f' cannot be read: Permission denied" in done.stdout, done.stderr


def test_a_file_that_never_holds_still_is_not_trusted(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"x" * (32 << 20))
    writer = subprocess.Popen(["sh", "-c", f"while :; do printf y >> '{path}'; done"])
    try:
        time.sleep(0.2)
        _, _, clock = content_digest.read_stable(str(path))[:3]
    finally:
        writer.kill()
        writer.wait()
    assert clock == 0


@given(data=st.data())
@examples(60)
def test_any_damage_to_the_saved_rows_costs_time_only(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.getbasetemp() / "damage"
    saved = str(root / "signatures")
    if not root.exists():
        root.mkdir()
        for n in range(5):
            (root / f"f{n}").write_bytes(b"%d" % n)
        settled(root)
        contents = Contents(str(root))
        for n in range(5):
            contents.token(f"f{n}")
        contents.save(saved)
        (root / "whole").write_bytes(Path(saved).read_bytes())
    whole = bytearray((root / "whole").read_bytes())
    at = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        whole[at] ^= data.draw(st.integers(1, 255))
    else:
        del whole[at:]
    Path(saved).write_bytes(whole)
    contents = Contents(str(root))
    assert not contents.load(saved)
    assert [contents.token(f"f{n}") for n in range(5)] == [sha(b"%d" % n) for n in range(5)]


@given(ctime=st.integers(1, 2**62), behind=st.integers(0, 3_000_000_000))
def test_the_racy_rule_leaves_room_for_coarse_stamps(ctime: int, behind: int) -> None:
    """Whatever step of a power of ten stamps are cut to, a stamp given after the clock is never the old one."""
    sig = (0, 0, ctime, 1, 0o100644)
    clock = ctime + behind
    if not signature.is_racy(sig, clock):
        for step in (10**n for n in range(10)):
            if ctime % step == 0:
                assert clock // step * step != ctime
    assert signature.is_racy(sig, ctime)
    assert signature.is_racy((0, 0, 0, 1, 0), 2**62)


def test_whole_seconds_wait_two() -> None:
    second = 1_000_000_000
    sig = (0, 0, 1_700_000_000 * second, 1, 0o100644)
    assert signature.is_racy(sig, 1_700_000_001 * second)
    assert not signature.is_racy(sig, 1_700_000_002 * second)


def test_exact_stamps_tell_any_change_after_a_look(tmp_path: Path) -> None:
    file = tmp_path / "file"
    with open(file, "wb") as opened:
        signature.probe(opened.fileno())
        if not signature.exact(os.stat(tmp_path).st_dev):
            pytest.skip("this file system stamps coarsely")
        seen = set()
        for n in range(200):
            os.pwrite(opened.fileno(), b"%d" % (n % 10), 0)
            seen.add(signature.of(os.lstat(file)))
    assert len(seen) == 200
    found = Contents(str(tmp_path))
    assert found.token("file")
    assert not found.rows()["file"][2]
    assert found.settle() == []
