"""`--cache http(s)://…`: what one workspace made another restores, and no server can break a run."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cache_server import CacheServer, Handler, slowly
from tests.support.contract_tools import TRACE, Traced, wait_for
from tests.support.f0 import interrupt

RECIPE = f"""\
steps:
  - name: count
    foreach:
      n:
        range: 1..4
    inputs: in.txt
    outputs: out/${{{{ n }}}}.txt
    run: |
      {TRACE}
      cat in.txt > ${{{{ outputs }}}}; echo ${{{{ n }}}} >> ${{{{ outputs }}}}
  - name: tree
    inputs: ${{{{ steps.count.outputs }}}}
    outputs: tree/
    run: |
      {TRACE}
      mkdir -p tree/sub tree/empty; cat out/* > "tree/sub/a name"; chmod +x "tree/sub/a name"
      ln -s "sub/a name" tree/link; : > tree/nothing
"""
STEPS = 5


@pytest.fixture
def server() -> Iterator[CacheServer]:
    """A validating server."""
    found = CacheServer()
    found.start()
    yield found
    found.stop()


def workspace(tmp_path: Path, name: str, text: str = RECIPE) -> Traced:
    """A workspace with the recipe and its input; no credentials of the person who runs the tests."""
    directory = tmp_path / name / "w"
    directory.mkdir(parents=True)
    made = Traced(directory)
    made.recipe(text)
    made.write("in.txt", "some text\n")
    made.write("../home/.keep", "")
    return made


def clean(f0: Traced, **more: str) -> dict[str, str]:
    """The environment of a run: a home of its own, a short patience with servers."""
    found = {"HOME": str(f0.workspace.parent / "home"), "F0MAKE_CACHE_TIMEOUT": "1"}
    return {**found, "NETRC": "", **more}


def content(f0: Traced) -> dict[str, tuple[int, bytes]]:
    """What the steps made: path -> (mode, bytes or the link's text)."""
    found = {}
    for root in ("out", "tree"):
        for path in sorted((f0.workspace / root).rglob("*")):
            data = (
                os.readlink(path).encode()
                if path.is_symlink()
                else path.read_bytes()
                if path.is_file()
                else b""
            )
            found[str(path.relative_to(f0.workspace))] = (path.lstat().st_mode, data)
    return found


def notes(text: str) -> list[str]:
    """The lines on standard error that speak of the cache."""
    return [line for line in text.splitlines() if "cache" in line or "http" in line]


@pytest.mark.parametrize("takes_json", [True, False], ids=["json", "protobuf"])
def test_a_second_workspace_restores_everything_and_runs_nothing(tmp_path: Path, takes_json: bool) -> None:
    server = CacheServer(takes_json)
    server.start()
    one, two = workspace(tmp_path, "one"), workspace(tmp_path, "two")
    first = one.run("--cache", server.url, env=clean(one))
    assert first.summary["ran"] == STEPS and not notes(first.stderr)
    assert len(server.actions) == STEPS and one.executed()
    puts = server.count("PUT cas")
    assert server.count("HEAD cas") >= puts  # nothing is sent that was not asked for

    planned = two("plan", "recipe.yaml", "--json", "--cache", server.url, env=clean(two))
    assert set(planned.states.values()) == {"restore"} and not two.exists(".f0make")
    assert server.count("PUT cas") == puts

    second = two.run("--cache", server.url, env=clean(two))
    assert (second.summary["restored"], second.summary["ran"]) == (STEPS, 0) and not two.executed()
    assert second.summary["remote_cache"]["hits"] == STEPS
    assert content(two) == content(one)
    assert server.count("PUT cas") == puts  # what came from there is not sent there

    # Nothing to do: nothing is asked, neither on the fast way nor on the full one.
    asked = server.requests.total()
    assert two.run("--cache", server.url, env=clean(two)).summary["current"] == STEPS
    shutil.rmtree(two.workspace / ".f0make" / "snapshots")
    assert two.run("--cache", server.url, env=clean(two)).summary["current"] == STEPS
    assert server.requests.total() == asked

    # What the local tier has lost comes from the server again.
    shutil.rmtree(two.workspace / ".f0make" / "cache")
    two.remove("tree")
    assert two.run("--cache", server.url, env=clean(two)).states["tree"] == "restored"
    assert content(two) == content(one)
    server.stop()


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Debian's nginx with its WebDAV module, which makes no directories by itself: (address, its root)."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program, "nginx is not installed (see tests/system-packages.txt)"
    base = tmp_path / "nginx"
    (base / "dav").mkdir(parents=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    temporary = "".join(
        f"{kind}_temp_path {base}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (base / "conf").write_text(
        f"daemon off; master_process off; pid {base}/pid; error_log {base}/error.log;"
        f"events {{ worker_connections 128; }}"
        f"http {{ access_log {base}/access.log; {temporary} client_max_body_size 0;"
        f" server {{ listen 127.0.0.1:{port}; root {base}/dav;"
        f" location / {{ dav_methods PUT MKCOL; }}"
        f" location /readonly/ {{ alias {base}/dav/team/cache/; }} }} }}"
    )
    process = subprocess.Popen(
        [program, "-p", str(base), "-c", str(base / "conf")], stderr=subprocess.DEVNULL
    )
    try:
        wait_for(lambda: _answers(port))
        yield f"http://127.0.0.1:{port}/", base / "dav"
    finally:
        process.terminate()
        process.wait(10)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_nginx_with_webdav(tmp_path: Path, nginx: tuple[str, Path]) -> None:
    url, root = nginx
    one, two, three = (workspace(tmp_path, name) for name in ("one", "two", "three"))
    first = one.run("--cache", f"{url}team/cache", env=clean(one))
    assert first.summary["ran"] == STEPS and not notes(first.stderr)
    assert len(list((root / "team" / "cache" / "ac").iterdir())) == STEPS
    assert two.run("--cache", f"{url}team/cache/", env=clean(two)).summary["restored"] == STEPS
    assert content(two) == content(one)

    # Damaged and cut off behind the server's back: a miss, said once; the run makes it and mends the server.
    blobs = sorted((root / "team" / "cache" / "cas").iterdir())
    tails = [blob for blob in blobs if blob.read_bytes().endswith((b"\n2\n", b"\n3\n"))]
    damaged = tails[0].read_bytes()
    tails[0].write_bytes(damaged[:-1] + b"X")
    tails[1].write_bytes(tails[1].read_bytes()[:3])
    third = three.run("--cache", f"{url}team/cache", env=clean(three))
    assert third.summary["ran"] >= 1 and third.summary["failed"] == 0
    assert content(three) == content(one)
    assert len(notes(third.stderr)) == 1 and "does not have the content" in third.stderr
    assert tails[0].read_bytes() == damaged

    # A location that takes nothing is read all the same, and says so once.
    four = workspace(tmp_path, "four", RECIPE.replace("1..4", "1..8"))
    fourth = four.run("--cache", f"{url}readonly/", env=clean(four))
    assert fourth.summary["restored"] == 4 and fourth.summary["ran"] == 5
    assert len(notes(fourth.stderr)) == 1 and "only read" in fourth.stderr


def test_records_that_differ_in_what_was_discovered_are_all_kept(tmp_path: Path, server: CacheServer) -> None:
    text = f"""\
steps:
  - name: build
    outputs: prog
    depfile: prog.d
    run: |
      {TRACE}
      cat header > prog; echo "prog: header" > prog.d
"""
    made = []
    for number in (1, 2):
        one = workspace(tmp_path, f"maker{number}", text)
        one.write("header", f"version {number}\n")
        made.append(one)
        assert one.run("--cache", server.url, env=clean(one)).summary["ran"] == 1
    assert len(server.actions) == 1
    for number in (1, 2):
        two = workspace(tmp_path, f"taker{number}", text)
        two.write("header", f"version {number}\n")
        assert two.run("--cache", server.url, env=clean(two)).summary["restored"] == 1, number
        assert two.read("prog") == f"version {number}\n"


def test_a_record_that_came_between_is_not_lost(tmp_path: Path, server: CacheServer) -> None:
    text = "steps:\n  - name: build\n    outputs: prog\n    depfile: prog.d\n    run: |\n      cat header > prog\n      echo 'prog: header' > prog.d\n"
    one, two = workspace(tmp_path, "one", text), workspace(tmp_path, "two", text)
    for number, f0 in enumerate((one, two)):
        f0.write("header", f"version {number}\n")
    one.run("--cache", server.url, env=clean(one))
    (key, first), hidden = next(iter(server.actions.items())), [True]

    def between(handler: Handler) -> bool:
        """Two does not see one's record before it has put its own over it."""
        if handler.kind == "ac" and handler.command == "GET" and hidden[0]:
            handler.answer(404)
            return True
        if handler.kind == "ac" and handler.command == "PUT" and hidden[0]:
            hidden[0] = False
            handler.body()
            handler.answer(200)  # and is overwritten by one's at once
            handler.server.actions[key] = first
            return True
        return False

    server.fault = between
    two.run("--cache", server.url, env=clean(two))
    server.fault = None
    for number in range(2):
        taker = workspace(tmp_path, f"taker{number}", text)
        taker.write("header", f"version {number}\n")
        assert taker.run("--cache", server.url, env=clean(taker)).summary["restored"] == 1, number


# Servers that fail. None breaks a run, and each problem is said once.


def _drop(handler: Handler) -> bool:
    handler.close_connection = True
    return True


def _garbage(handler: Handler) -> bool:
    handler.wfile.write(b"\x00\x01 this is no HTTP\r\n\r\n")
    return _drop(handler)


def _status(code: int) -> object:
    def fault(handler: Handler) -> bool:
        handler.body()
        handler.answer(code)
        return True

    return fault


def _cut_off(handler: Handler) -> bool:
    if handler.command != "GET" or handler.kind != "cas" or handler.name not in handler.server.blobs:
        return False
    data = handler.server.blobs[handler.name]
    handler.answer(200, data[: len(data) // 2], Content_Length=str(len(data)))
    return _drop(handler)


def _other_content(handler: Handler) -> bool:
    if handler.command != "GET" or handler.kind != "cas":
        return False
    handler.answer(200, b"something else\n")
    return True


def _no_action(handler: Handler) -> bool:
    if handler.command != "GET" or handler.kind != "ac":
        return False
    handler.answer(200, b"<html>Please log in</html>")
    return True


def _dripping(handler: Handler) -> bool:
    if handler.command != "GET" or handler.kind != "cas":
        return False
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(1000):
        handler.wfile.write(b"x")
        time.sleep(0.1)
    return True


def _circles(handler: Handler) -> bool:
    handler.body()
    handler.answer(302, Location=handler.path)
    return True


def _elsewhere(handler: Handler) -> bool:
    """Redirects to an address that nobody listens at."""
    handler.body()
    handler.answer(307, Location=f"http://127.0.0.1:1{handler.path}")
    return True


@pytest.mark.parametrize(
    "fault",
    [
        *(_drop, _garbage, _cut_off, _other_content, _no_action, _dripping, _circles, _elsewhere),
        *(pytest.param(_status(code), id=str(code)) for code in (401, 403, 500, 503)),
        pytest.param(slowly(30), id="asleep"),
    ],
)
def test_no_server_breaks_a_run(tmp_path: Path, server: CacheServer, fault: object) -> None:
    one, two = workspace(tmp_path, "one"), workspace(tmp_path, "two")
    one.run("--cache", server.url, env=clean(one))
    server.fault = fault  # type: ignore[assignment]
    began = time.monotonic()
    second = two.run("-j1", "--cache", server.url, env=clean(two))
    assert time.monotonic() - began < 30
    assert second.summary["status"] == "ok" and second.summary["failed"] == 0
    assert content(two) == content(one) and len(two.executed()) == STEPS
    told = notes(second.stderr)
    assert 1 <= len(told) <= 2 and len({re.sub("[0-9a-f]{64}", "", line) for line in told}) == len(told), told
    assert two.run("--cache", server.url, env=clean(two)).summary["current"] == STEPS


def test_a_server_that_is_not_there(tmp_path: Path, server: CacheServer) -> None:
    one = workspace(tmp_path, "one")
    url = server.url
    server.stop()
    found = one.run("--cache", url, env=clean(one))
    assert found.summary["ran"] == STEPS and len(notes(found.stderr)) == 1 and "refused" in found.stderr
    two = workspace(tmp_path, "two")
    found = two.run("--cache", "http://no.such.host.invalid/", env=clean(two))
    assert found.summary["ran"] == STEPS and len(notes(found.stderr)) == 1


def test_a_server_that_dies_in_the_middle(tmp_path: Path, server: CacheServer) -> None:
    one = workspace(tmp_path, "one", RECIPE.replace("1..4", "1..30"))
    left = iter(range(40))

    def fault(handler: Handler) -> bool:
        return next(left, None) is None and _drop(handler)

    server.fault = fault
    found = one.run("--cache", server.url, env=clean(one))
    assert found.summary["ran"] == 31 and 1 <= len(notes(found.stderr)) <= 4


def test_the_end_of_a_run_waits_for_what_is_sent_and_ctrl_c_does_not(
    tmp_path: Path, server: CacheServer
) -> None:
    def slow_put(handler: Handler) -> bool:
        if handler.command == "PUT":
            time.sleep(0.5)
        return False

    server.fault = slow_put
    one = workspace(tmp_path, "one")
    one.run("--cache", server.url, env=clean(one))
    assert len(server.actions) == STEPS
    server.actions.clear()
    server.blobs.clear()

    def stuck(handler: Handler) -> bool:
        return handler.command == "PUT" and bool(time.sleep(30)) is False

    server.fault = stuck
    two = workspace(tmp_path, "two")
    process = two.start("run", "recipe.yaml", "--json", "--cache", server.url)
    wait_for(lambda: server.count("PUT cas") and two.exists("tree"))
    time.sleep(0.3)
    began = time.monotonic()
    assert interrupt(process).code in (0, 130)
    assert time.monotonic() - began < 10


# Reading only, and who one is.


def test_read_only_on_request(tmp_path: Path, server: CacheServer) -> None:
    one, two = workspace(tmp_path, "one"), workspace(tmp_path, "two")
    one.run("--cache", server.url, "--cache-readonly", env=clean(one))
    assert not server.blobs and not server.count("PUT cas") and not server.count("PUT ac")
    one.run("--force", "tree", "--cache", server.url, env=clean(one))
    assert len(server.actions) == 1
    found = two.run("--cache", server.url, "--cache-readonly", env=clean(two))
    assert found.states["tree"] == "restored" and not notes(found.stderr)
    for args in (("--cache-readonly",), ("--cache-readonly", "--cache", "elsewhere")):
        assert two("run", "recipe.yaml", *args, env=clean(two)).code == 2


def _wants(login: str) -> object:
    def fault(handler: Handler) -> bool:
        if handler.headers.get("Authorization") == login:
            return False
        handler.body()
        handler.answer(401)
        return True

    return fault


def everything_written(f0: Traced) -> bytes:
    """All that a run left on disk."""
    return b"".join(p.read_bytes() for p in f0.workspace.rglob("*") if p.is_file() and not p.is_symlink())


@pytest.mark.parametrize("how", ["environment", "token", "netrc"])
def test_credentials(tmp_path: Path, server: CacheServer, how: str) -> None:
    text = RECIPE + "  - name: env\n    outputs: env.txt\n    run: env > env.txt\n"
    one, two = workspace(tmp_path, "one", text), workspace(tmp_path, "two", text)
    given = {
        "environment": {"F0MAKE_CACHE_USER": "me", "F0MAKE_CACHE_PASSWORD": "s3cret"},
        "token": {"F0MAKE_CACHE_TOKEN": "s3cret"},
        "netrc": {"NETRC": str(one.write("../netrc", "machine 127.0.0.1 login me password s3cret\n"))},
    }[how]
    server.fault = _wants("Bearer s3cret" if how == "token" else "Basic bWU6czNjcmV0")  # type: ignore[assignment]
    first = one.run("-v", "--cache", server.url, env=clean(one, **given))
    assert first.summary["ran"] == STEPS + 1 and len(server.actions) == STEPS + 1
    second = two("run", "recipe.yaml", "-v", "--debug", "--cache", server.url, env=clean(two, **given))
    assert second.code == 0 and not two.executed()
    for output in (first.stdout, first.stderr, second.stdout, second.stderr):
        assert "s3cret" not in output and "bWU6czNjcmV0" not in output
    assert b"s3cret" not in everything_written(one) + b"".join(server.blobs.values())
    assert "F0MAKE_CACHE_" not in one.read("env.txt").replace("F0MAKE_CACHE_TIMEOUT", "")

    # Without them: only what is local, one line, no run broken.
    three = workspace(tmp_path, "three", text)
    third = three.run("--cache", server.url, env=clean(three))
    assert third.summary["ran"] == STEPS + 1 and len(notes(third.stderr)) == 1 and "login" in third.stderr


def test_a_login_is_not_carried_to_where_a_server_redirects(tmp_path: Path, server: CacheServer) -> None:
    other = CacheServer()
    other.start()
    one, two = workspace(tmp_path, "one"), workspace(tmp_path, "two")
    one.run("--cache", other.url, env=clean(one))

    def away(handler: Handler) -> bool:
        if handler.command != "GET":
            return False
        handler.answer(302, Location=other.url.rstrip("/") + handler.path)
        return True

    server.fault = away
    login = {"F0MAKE_CACHE_USER": "me", "F0MAKE_CACHE_PASSWORD": "s3cret"}
    other.headers.clear()
    assert two.run("--cache", server.url, env=clean(two, **login)).summary["restored"] == STEPS
    assert any("Authorization" in headers for headers in server.headers)
    assert other.headers and not any("Authorization" in headers for headers in other.headers)
    other.stop()


@pytest.mark.parametrize(
    "address",
    [
        *("http://me:s3cret@cache.example/", "https://s3cret@[::1]:80/x", "http:///x", "http://h:port/"),
        *("http://h/?key=s3cret", "http://h/#s3cret", "ftp://me:s3cret@h/", "s3://s3cret@bucket"),
    ],
)
def test_addresses_that_are_refused(tmp_path: Path, address: str) -> None:
    one = workspace(tmp_path, "one")
    for verb in ("run", "plan"):
        found = one(verb, "recipe.yaml", "--cache", address, env=clean(one))
        assert found.code == 2 and "s3cret" not in found.stdout + found.stderr
        assert len(found.stderr.splitlines()) == 1
    if "@" in address and address.startswith("http"):
        assert "F0MAKE_CACHE_USER" in found.stderr and "netrc" in found.stderr


def test_what_cannot_be_done_to_a_server_is_refused(tmp_path: Path, server: CacheServer) -> None:
    one = workspace(tmp_path, "one")
    for args in (("stats",), ("verify",), ("gc", "--size", "1GB")):
        found = one("cache", *args, "--cache", server.url, env=clean(one))
        assert found.code == 2 and len(found.stderr.splitlines()) == 1 and "server" in found.stderr
    one.run("--no-cache", "--cache", server.url, env=clean(one))
    assert not server.requests


# TLS.


@pytest.fixture
def authority(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate authority of the test's own, and a server's context with a certificate of it."""
    base = tmp_path / "tls"
    base.mkdir()

    def openssl(*args: str) -> None:
        subprocess.run(["openssl", *args], cwd=base, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    # Python 3.13 verifies as strictly as RFC 5280: a CA says that it may sign, and a certificate whose it is.
    may_sign = ("-subj", "/CN=tests", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", *may_sign)
    openssl("req", *key, "-keyout", "key.pem", "-out", "req.pem", "-subj", "/CN=cache")
    (base / "ext").write_text("subjectAltName=IP:127.0.0.1\nauthorityKeyIdentifier=keyid\n")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "ext", "-days", "2")
    openssl("x509", "-req", "-in", "req.pem", *signed, "-out", "cert.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(base / "cert.pem", base / "key.pem")
    return base / "ca.pem", context


def test_tls(tmp_path: Path, authority: tuple[Path, ssl.SSLContext]) -> None:
    ca, context = authority
    server = CacheServer()
    server.start(context)
    one, two, three = (workspace(tmp_path, name) for name in ("one", "two", "three"))
    assert one.run("--cache", server.url, env=clean(one, SSL_CERT_FILE=str(ca))).summary["ran"] == STEPS
    found = two.run("--cache", server.url, env=clean(two, SSL_CERT_FILE=str(ca)))
    assert found.summary["restored"] == STEPS and content(two) == content(one)
    # Somebody else's certificate: nothing is taken from there, nothing sent.
    asked = server.requests.total()
    found = three.run("--cache", server.url, env=clean(three))
    assert found.summary["ran"] == STEPS and server.requests.total() == asked
    assert len(notes(found.stderr)) == 1 and "SSL_CERT_FILE" in found.stderr
    server.stop()


def test_many_restores_share_few_connections_and_overlap(tmp_path: Path, server: CacheServer) -> None:
    text = RECIPE.replace("1..4", "1..150")
    one, two = workspace(tmp_path, "one", text), workspace(tmp_path, "two", text)
    one.run("--cache", server.url, env=clean(one))
    server.connections = server.busiest = 0
    server.fault = slowly(0.01)
    assert two.run("--cache", server.url, env=clean(two)).summary["restored"] == 151
    assert server.connections <= 16 and 4 <= server.busiest <= 16
