"""Parts of the cache over HTTP that need no server: ActionResults, records of strangers, addresses, a damaged blob."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from f0make.cache.blobs import BlobCorrupt, Blobs
from f0make.cache.http.action_result import NotAnAction, OutputFile, parse, to_json, to_protobuf
from f0make.cache.http.http_factory import open_server
from f0make.cache.http.server_address import parse_address
from f0make.cache.shared_records import foreign_record
from f0make.files.content_digest import tree_token
from f0make.store import log_lines
from tests.support.cache_server import ActionResult, CacheServer

DIGESTS = st.binary(max_size=8).map(lambda data: hashlib.sha256(data).hexdigest())
FILES = st.builds(OutputFile, st.text(min_size=1), DIGESTS, st.integers(0, 2**62), st.booleans()).filter(
    lambda file: not any("\ud800" <= c <= "\udfff" for c in file.path)
)


@given(st.lists(FILES, max_size=5))
def test_both_forms_mean_the_same_to_protobuf_and_to_us(files: list[OutputFile]) -> None:
    packed = ActionResult.FromString(to_protobuf(files))
    assert packed == json_format.Parse(to_json(files), ActionResult())
    found = [(f.path, f.digest.hash, f.digest.size_bytes, f.is_executable) for f in packed.output_files]
    assert found == [(f.path, f.digest, f.size, f.executable) for f in files]
    packed.exit_code = 3
    packed.execution_metadata.worker = "somebody"
    assert parse(packed.SerializeToString()) == files
    assert parse(json_format.MessageToJson(packed).encode()) == files
    snake = json_format.MessageToJson(packed, preserving_proto_field_name=True)
    assert parse(snake.encode()) == files


@given(st.binary(max_size=60) | st.builds(lambda data: b"{" + data, st.binary(max_size=20)))
def test_garbage_is_no_action_and_nothing_else(data: bytes) -> None:
    try:
        parse(data)
    except NotAnAction:
        pass


def test_a_name_that_is_no_unicode_is_spelled_out() -> None:
    file = OutputFile("out/\udcff", "0" * 64, 1)
    for data in (to_json([file]), to_protobuf([file])):
        assert parse(data)[0].path == "out/\\udcff"


TOKEN = "a" * 64
KEY = "b" * 64
TREE = {"sub/file": TOKEN, "empty": "/", "link": "@" + TOKEN}


def record(**changes: Any) -> dict[str, Any]:
    """A record as one comes from a server, with ``changes``."""
    found: dict[str, Any] = {
        "key": KEY,
        "instance": "s",
        "step": "s",
        "outputs": {"f": TOKEN, "d": tree_token(TREE)},
    }
    return {**found, "trees": {"d": TREE}, **changes}


def sound(record: dict[str, Any], key: str) -> bool:
    """Whether ``record`` is taken for one of ``key`` when it comes as a line."""
    return foreign_record(log_lines.encode("record", record), key) == record


def test_a_record_of_a_stranger() -> None:
    assert sound(record(), KEY)
    assert sound(record(outputs={"l": f"@{TOKEN}+{TOKEN}"}, trees={}), KEY)


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": "c" * 64},
        {"step": None},
        {"outputs": None},
        {"outputs": {"f": TOKEN, "d": tree_token({})}},
        {"outputs": {"f": TOKEN + "/"}, "trees": {}},
        {"outputs": {"f": 3}, "trees": {}},
        {"trees": {"d": TREE, "elsewhere": TREE}},
        {"reads": []},
        {"writes": [{"key": 3, "value": 1}]},
        {"missing_reads": [1]},
        {"seconds": "long"},
        *(
            {"outputs": {"d": tree_token({path: TOKEN})}, "trees": {"d": {path: TOKEN}}}
            for path in ("../x", "/etc/x", "a/../../x", "a//x", "a\0b", "")
        ),
    ],
)
def test_a_record_that_is_none_or_leaves_its_outputs(wrong: dict[str, Any]) -> None:
    assert not sound(record(**wrong), KEY)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://host", "http://host/"),
        ("HTTP://host:80/a//b/", "http://host/a/b/"),
        ("https://[::1]:8443/a%20b", "https://[::1]:8443/a%20b/"),
        ("https://host:443/a b", "https://host/a%20b/"),
    ],
)
def test_addresses(text: str, shown: str) -> None:
    assert str(parse_address(text)) == shown


def test_a_blob_that_is_damaged_here_is_not_sent(tmp_path: Path) -> None:
    server = CacheServer()
    server.start()
    client = open_server(server.url, {"HOME": str(tmp_path), "NETRC": "/nowhere"})
    blobs = Blobs(str(tmp_path / "cache"))
    for size in (1000, 9_000_000):
        data = bytes([size % 251]) * size
        good = blobs.add_bytes(data)
        assert client.store(good, blobs) == size and server.blobs[good] == data
        bad = blobs.add_bytes(data + b"!")
        Path(blobs.path(bad)).chmod(0o600)
        Path(blobs.path(bad)).write_bytes(data + b"?")
        assert client.store(bad, blobs) is None and bad not in server.blobs
        assert not blobs.has(bad)
        # The connection, or a new one, goes on.
        assert client.fetch(good, Blobs(str(tmp_path / f"other{size}")))
    with pytest.raises(BlobCorrupt):
        blobs.receive("0" * 64, [b"a", b"b"])
    assert not list((tmp_path / "cache" / "tmp").iterdir())
    server.stop()


def test_what_speaks_http_is_imported_by_nobody_else() -> None:
    code = (
        "import sys, f0make.executor, f0make.engine.run, f0make.backends.local.local_backend, f0make.cache.factory, f0make.cli.app\n"
        "heavy = {'http.client', 'ssl', 'urllib.request', 'netrc', 'f0make.cache.http'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
