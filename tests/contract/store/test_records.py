"""Records that others wrote, in a cache or in a `.f0make` that came along: at worst they are not there."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from f0make.cache.http.action_result import RECORDS, OutputFile, to_json
from f0make.files.content_digest import tree_token
from tests.support.cache_server import CacheServer, Handler
from tests.support.contract_tools import TRACE, Traced
from tests.support.digests import sha

RECIPE = f"""\
steps:
  - name: make
    inputs: in.txt
    outputs: out/
    run: |
      {TRACE}
      mkdir -p out/sub; cp in.txt out/sub/a
"""


def workspace(tmp_path: Path, name: str, text: str = RECIPE) -> Traced:
    """A workspace with the recipe and its input."""
    directory = tmp_path / name / "w"
    directory.mkdir(parents=True)
    made = Traced(directory)
    made.recipe(text)
    made.write("in.txt", "some text\n")
    return made


@pytest.fixture
def victim(tmp_path: Path) -> Traced:
    """Who runs the recipe with a cache that somebody else writes to."""
    return workspace(tmp_path, "victim")


@pytest.fixture
def seed(tmp_path: Path) -> dict[str, Any]:
    """The record that an honest run of the recipe leaves in a cache."""
    honest = workspace(tmp_path, "honest")
    honest.run("--cache", str(tmp_path / "cache"))
    honest.executed()
    (path,) = (p for p in (tmp_path / "cache" / "ac").rglob("*") if p.is_file())
    record: dict[str, Any] = json.loads(path.read_bytes().split(b" ", 2)[2])
    return record


def line(payload: object, kind: str = "record") -> bytes:
    """A line with a right checksum."""
    body = f"{kind} ".encode() + json.dumps(payload).encode()
    return b"%08x %b\n" % (zlib.crc32(body), body)


def poison(cache: Path, record: dict[str, Any], data: bytes | None = None) -> Path:
    """Put ``record`` in the place of all records of its key."""
    key = record["key"]
    place = cache / "ac" / key[:2] / key
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    (place / "x").write_bytes(line(record) if data is None else data)
    return place


def blob(cache: Path, data: bytes) -> str:
    """Put ``data`` into the cache; its digest."""
    digest = hashlib.sha256(data).hexdigest()
    path = cache / "cas" / digest[:2] / digest
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return digest


def tree(**entries: str) -> dict[str, Any]:
    """What a record says of `out/` with ``entries`` (names with `__` for `/`)."""
    found = {name.replace("__", "/"): token for name, token in entries.items()}
    return {"outputs": {"out": tree_token(found)}, "trees": {"out": found}}


def untouched(f0: Traced) -> None:
    """Its step ran as if there were no cache, and nothing lies around the workspace."""
    assert f0.executed() == ["make"]
    assert f0.read("out/sub/a") == "some text\n"
    names = set(os.listdir(f0.workspace.parent))
    assert names == {"w"}, names


NAMES = ["../evil", "../../evil", "/tmp/f0make-evil", "a/../../../evil", "a//b", ".", "a\0b", "\ud800"]


def test_names_that_lead_out(victim: Traced, tmp_path: Path, seed: dict[str, Any]) -> None:
    cache = tmp_path / "cache"
    place = poison(cache, seed)
    (place / "x").unlink()
    for number, path in enumerate(NAMES):
        found = {path: blob(cache, b"evil\n")}
        token = seed["outputs"]["out"] if "\ud800" in path else tree_token(found)
        (place / str(number)).write_bytes(line({**seed, "outputs": {"out": token}, "trees": {"out": found}}))
    assert victim.run("--cache", str(cache)).states == {"make": "ran"}
    untouched(victim)
    assert not os.path.exists("/tmp/f0make-evil")
    victim.run("--rehash")  # nothing of it is in the local log


def test_an_entry_below_a_link(victim: Traced, tmp_path: Path, seed: dict[str, Any]) -> None:
    cache = tmp_path / "cache"
    home = tmp_path / "home"
    home.mkdir()
    (home / ".bashrc").write_text("mine\n")
    link, evil = "@" + blob(cache, os.fsencode(home)), blob(cache, b"evil\n")
    for found in ({"a": link, "a/.bashrc": evil}, {"a": evil, "a/b/c": evil}, {"a": "/", "a/b": evil}):
        poison(cache, {**seed, "outputs": {"out": tree_token(found)}, "trees": {"out": found}})
        assert victim.run("--cache", str(cache)).states == {"make": "ran"}
        untouched(victim)
        assert (home / ".bashrc").read_text() == "mine\n"
        victim.remove("out"), victim.remove(".f0make")


ODD: list[dict[str, Any]] = [
    {"outputs": {}, "trees": {}},
    {"outputs": {"out": "a" * 64}, "trees": {}},
    {"outputs": {"out": "a" * 64 + "/"}, "trees": {}},
    {"outputs": {"out": "../../../etc/passwd"}, "trees": {}},
    {"outputs": {"elsewhere": "a" * 64}, "trees": {}},
    {"seconds": 10**400},
    {"seconds": -1},
    {"started": 1e300},
    {"peak_mem": 10**30},
    {"seconds": float("nan")},
    {"parts": {"command": 5}},
    {"parts": []},
    {"discovered": {"in.txt": 5}},
    {"discovered": {"a\0": "a" * 64}},
    {"discovered": {"fifo": "a" * 64}},
    {"discovered": {"/dev/zero": "a" * 64}},
    {"discovered": {"/proc/kmsg": "a" * 64}},
    {"discovered": {"huge": "a" * 64}},
    {"discovered": {"/": "a" * 64}},
    {"reads": {"k": 5}, "missing_reads": 7},
    {"writes": [{"key": [], "value": 1}]},
    {"writes": 3},
    {"instance": 5},
    {"sources": {"a.py": "../../x"}},
]


def test_odd_records(victim: Traced, tmp_path: Path, seed: dict[str, Any]) -> None:
    os.mkfifo(victim.workspace / "fifo")
    with open(victim.workspace / "huge", "wb") as file:
        file.truncate(1 << 43)
    cache = tmp_path / "cache"
    place = poison(cache, seed)
    (place / "x").unlink()
    for number, odd in enumerate(ODD):
        (place / f"{number}").write_bytes(line({**seed, **odd}))
    assert victim("plan", "recipe.yaml", "--cache", str(cache), timeout=20).code == 0
    assert victim.run("--cache", str(cache), timeout=20).states == {"make": "ran"}
    assert victim.executed() == ["make"]
    assert victim.run().states == {"make": "current"}
    # Nor when they stand in the local log.
    shutil.rmtree(victim.workspace / "out")
    planted(victim, *(("record", {**seed, **odd}) for odd in ODD))
    for words in (("plan", "recipe.yaml"), ("why", "recipe.yaml", "make"), ("run", "recipe.yaml")):
        assert victim(*words, timeout=20).code == 0, words
    assert victim.executed() == ["make"] and victim.read("out/sub/a") == "some text\n"
    assert victim.run().states == {"make": "current"}


def test_what_is_no_file_in_a_cache(victim: Traced, tmp_path: Path, seed: dict[str, Any]) -> None:
    cache = tmp_path / "cache"
    place = poison(cache, seed)
    os.mkfifo(place / "pipe")
    (place / "directory").mkdir()
    (place / "device").symlink_to("/dev/zero")
    (place / "long").write_bytes(b"x" * 1000)
    for name in os.listdir(place):
        os.utime(place / name, (2e9, 2e9), follow_symlinks=False)
    digest = sha("some text\n")
    for kind in ("pipe", "link", "directory", "long"):
        path = cache / "cas" / digest[:2] / digest
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "link":
            path.symlink_to("/dev/zero")
        elif kind == "directory":
            path.mkdir()
        else:
            with open(path, "wb") as file:
                file.truncate(1 << 43)
        for verb in ("plan", "run"):
            assert victim(verb, "recipe.yaml", "--cache", str(cache), timeout=20).code == 0, (kind, verb)
        untouched(victim)
        victim.remove("out"), victim.remove(".f0make")


def test_a_link_blob_that_no_link_can_hold(tmp_path: Path) -> None:
    text = "steps:\n  - name: make\n    outputs: l\n    run: ln -s x l\n"
    cache = tmp_path / "cache"
    honest = workspace(tmp_path, "honest", text)
    honest.run("--cache", str(cache))
    (path,) = (p for p in (cache / "ac").rglob("*") if p.is_file())
    record = json.loads(path.read_bytes().split(b" ", 2)[2])
    for number, target in enumerate((b"a\0b", b"", b"x" * 5000)):
        poison(cache, {**record, "outputs": {"l": "@" + blob(cache, target) + "+-"}})
        victim = workspace(tmp_path, f"victim{number}", text)
        assert victim.run("--cache", str(cache)).code == 0
        assert os.readlink(victim.workspace / "l") == "x"


# A log that came with the workspace.


def planted(f0: Traced, *lines: tuple[str, object]) -> None:
    """Write a `.f0make` with these lines in its log."""
    f0.write(
        ".f0make/records.log",
        b"".join([line({"format": 1, "id": "x"}, "header"), *(line(p, k) for k, p in lines)]),
    )


@pytest.mark.parametrize(
    "path", ["../victim.txt", "in.txt", "recipe.yaml", ".f0make/records.log", "sub/../../victim.txt"]
)
def test_clean_removes_nothing_of_the_users(victim: Traced, path: str) -> None:
    outside = victim.workspace.parent / "victim.txt"
    outside.write_text("mine\n")
    (victim.workspace / "sub").mkdir()
    texts = {p: (victim.workspace / p).read_text() for p in ("../victim.txt", "in.txt", "recipe.yaml")}
    token = sha(texts.get(path, "mine\n"))
    planted(victim, ("made", {"instance": "old", "paths": {path: token}}))
    for more in ((), ("--orphans",)):
        assert victim("clean", "recipe.yaml", *more).code == 0
    assert {p: (victim.workspace / p).read_text() for p in texts} == texts
    assert victim.run().states == {"make": "ran"}


@pytest.mark.parametrize(
    "outputs", [["../victim.txt"], ["recipe.yaml"], ["in.txt"], [5], "in.txt", None, [".f0make"]]
)
def test_a_begin_takes_nothing_away(victim: Traced, outputs: object) -> None:
    outside = victim.workspace.parent / "victim.txt"
    outside.write_text("mine\n")
    planted(victim, ("begin", {"instance": "old", "token": "t", "outputs": outputs}))
    assert victim.run().states == {"make": "ran"}
    assert outside.read_text() == "mine\n" and victim.read("in.txt") == "some text\n"
    assert victim.exists("recipe.yaml") and victim.exists(".f0make/records.log")
    assert victim.run().states == {"make": "current"}


def test_lines_that_break_nothing(victim: Traced) -> None:
    odd: list[object] = [5, None, [], {}, {"instance": 5}, {"instance": "x", "paths": 5}, {"paths": {"a": 5}}]
    odd += [
        {"instance": "make", "token": [], "outputs": {}},
        {"key": 5, "instance": "x"},
        {"paths": ["/etc/passwd"]},
    ]
    odd += [
        {"key": "a" * 64, "instances": 5},
        {"instance": "make", "exit_code": 10**500, "seconds": float("inf")},
    ]
    planted(
        victim, *((kind, payload) for kind in ("made", "begin", "fail", "gone", "forget") for payload in odd)
    )
    victim.write(
        ".f0make/runs.log",
        b"".join(
            line(p, "run")
            for p in (5, {"recipe": 5}, {"recipe": "recipe.yaml", "started": 10**400}, {"steps": [1]})
        ),
    )
    for words in (
        ("plan", "recipe.yaml"),
        ("why", "recipe.yaml", "make"),
        ("clean", "recipe.yaml"),
        ("history",),
    ):
        assert victim(*words).code == 0, words
    for words in (
        ("status",),
        ("context", "recipe.yaml"),
        ("log", "make", "recipe.yaml"),
        ("report", "recipe.yaml"),
    ):
        assert "internal error" not in victim(*words).stderr, words
    assert victim.run().states == {"make": "ran"}
    again = victim.run()
    assert again.states == {"make": "current"} and "damaged" not in again.stderr


# A server that lies.


@pytest.fixture
def server() -> Iterator[CacheServer]:
    """A server that checks what it is given."""
    found = CacheServer()
    found.start()
    yield found
    found.stop()


def test_what_a_server_announces_and_does_not_keep(tmp_path: Path, server: CacheServer) -> None:
    """Contents that are longer than announced, or announced longer than any disk: a miss, and nothing stays."""
    maker = workspace(tmp_path, "maker")
    where = ("--cache", server.url)
    clean = {"HOME": str(tmp_path), "F0MAKE_CACHE_TIMEOUT": "2"}
    maker.run(*where, env=clean)
    digest = sha("some text\n")

    def lie(length: int | None, data: bytes, times: int) -> Any:
        def fault(handler: Handler) -> bool:
            if (handler.command, handler.kind, handler.name) != ("GET", "cas", digest):
                return False
            handler.send_response(200)
            if length is not None:
                handler.send_header("Content-Length", str(length))
            else:
                handler.send_header("Transfer-Encoding", "chunked")
            handler.end_headers()
            try:
                for _ in range(times):
                    handler.wfile.write(
                        (b"%x\r\n" % len(data) if length is None else b"")
                        + data
                        + (b"\r\n" if length is None else b"")
                    )
            except OSError:
                pass
            handler.close_connection = True
            return True

        return fault

    for number, fault in enumerate(
        (lie(1 << 60, b"x" * 1000, 1), lie(None, b"x" * 65536, 100_000), lie(11, b"x" * 11, 1))
    ):
        server.fault = fault
        victim = workspace(tmp_path, f"victim{number}")
        result = victim.run(*where, env=clean, timeout=30)
        assert result.states == {"make": "ran"} and victim.read("out/sub/a") == "some text\n"
        kept = sum(p.stat().st_size for p in (victim.workspace / ".f0make").rglob("*") if p.is_file())
        assert kept < 100_000, kept


def test_an_answer_that_never_ends(tmp_path: Path) -> None:
    """Headers without end, an action without end: the run goes on without the server."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            try:
                wire, _ = listener.accept()
            except OSError:
                return
            try:
                wire.recv(65536)
                wire.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                while not stop.is_set():
                    wire.sendall(b"10000\r\n" + b"{" * 65536 + b"\r\n")
            except OSError:
                pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    victim = workspace(tmp_path, "victim")
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    result = victim.run("--cache", url, env={"HOME": str(tmp_path), "F0MAKE_CACHE_TIMEOUT": "1"}, timeout=40)
    stop.set()
    listener.close()
    assert result.states == {"make": "ran"}


def test_odd_answers_of_a_server(tmp_path: Path, server: CacheServer, seed: dict[str, Any]) -> None:
    key = seed["key"]
    clean = {"HOME": str(tmp_path)}
    answers = [b"{", b"[" * 100_000, b'{"outputFiles": 5}', b"\xff" * 100]
    evil = b"evil\n"
    server.blobs[hashlib.sha256(evil).hexdigest()] = evil
    for record in (
        {**seed, **tree(**{"..__evil": hashlib.sha256(evil).hexdigest()})},
        {**seed, "seconds": 10**400},
        {**seed, "parts": {"command": 5}},
    ):
        data = line(record)
        digest = hashlib.sha256(data).hexdigest()
        server.blobs[digest] = data
        answers.append(to_json([OutputFile(RECORDS + "x", digest, len(data))]))
    answers.append(
        b'{"outputFiles": [{"path": "f0make-record/x", "digest": {"hash": "'
        + b"a" * 64
        + b'", "sizeBytes": Infinity}}]}'
    )
    for number, answer in enumerate(answers):
        server.actions[key] = answer
        victim = workspace(tmp_path, f"victim{number}")
        result = victim.run("--cache", server.url, "--cache-readonly", env=clean)
        assert result.states == {"make": "ran"}, (answer, result.stderr)
        untouched(victim)
