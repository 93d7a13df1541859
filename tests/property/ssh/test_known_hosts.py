"""Files of known hosts: read as OpenSSH reads them, whatever stands in them."""

from __future__ import annotations

import base64
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from f0make.backends.ssh import check_answers, known_hosts
from f0make.backends.ssh.known_hosts import Entry, Unreadable
from f0make.worker.agent import send, wire_format
from tests.support.examples import examples

PER_TEST = examples(125, suppress_health_check=list(HealthCheck))
needs_ssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no OpenSSH here")

ED = base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0 " + bytes(range(32))).decode()
RSA = base64.b64encode(
    b"\0\0\0\x07ssh-rsa\0\0\0\x03\1\0\1\0\0\1\1" + b"\0\xc5" + bytes(range(1, 255)) + b"\7"
).decode()
HASHED = "|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg="  # 192.168.1.61


def expected(path: Path, name: str) -> list[tuple[int, str]]:
    """(line, marker) of the lines with a key that OpenSSH finds for ``name``."""
    done = subprocess.run(["ssh-keygen", "-l", "-F", name, "-f", str(path)], capture_output=True, check=False)
    found = []
    for line in done.stdout.decode("latin-1").splitlines():
        if line.startswith("# Host ") and " found: line " in line:
            number, _, marker = line.partition(" found: line ")[2].partition(" ")
            found.append(
                (int(number), {"CA": known_hosts.CA, "REVOKED": known_hosts.REVOKED}.get(marker, ""))
            )
    return found


def ours(path: Path, name: str) -> list[tuple[int, str]]:
    """The same, as f0make reads it."""
    entries = [entry for entry in known_hosts.parse(path.read_bytes()) if isinstance(entry, Entry)]
    return [(entry.line, entry.marker) for entry in entries if known_hosts.matches(entry.names, name)]


LINES = [
    f"h1 ssh-ed25519 {ED}",
    f"  h1\t ssh-ed25519  {ED}  a comment with several words",
    f"@cert-authority *.example.org ssh-ed25519 {ED}",
    f"@revoked * ssh-rsa {RSA}",
    f"@revoked\th1 ssh-ed25519 {ED}",
    f"@unknown h1 ssh-ed25519 {ED}",
    "# h1 ssh-ed25519 AAAA",
    f"h1,h2,[h1]:2222 ssh-ed25519 {ED}",
    f"h?,!h1 ssh-ed25519 {ED}",
    f"*,!h2 ssh-rsa {RSA}",
    f"!h1 ssh-rsa {RSA}",
    f"H1 ssh-rsa {RSA}",
    f"[h*]:2222 ssh-rsa {RSA}",
    f"{HASHED} ssh-rsa {RSA}",
    f"|1|broken|x= ssh-rsa {RSA}",
    f"|2|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= ssh-rsa {RSA}",
    f"h1 ssh-ed25519 {ED}\r",
    "h1 ssh-ed25519 AAAAC3Nza!!!",
    f"h1 ssh-ed25519 {ED[:-8]}",
    f"h1 ssh-rsa {ED}",
    f"h1 ssh-martian {ED}",
    f"h1 ssh-ed25519-cert-v01@openssh.com {ED}",
    "h1 ssh-ed25519",
    "h1",
    "h1 1024 35 1234567890",
    "",
    "   \t ",
    f"b\xfccher,h1 ssh-ed25519 {ED}",
    f"::1,[::1]:2222 ssh-ed25519 {ED}",
    f"h1 ssh-ed25519 {ED} \xe4\xf6\xfc",
    f"{'*' * 60}x ssh-ed25519 {ED}",
]
NAMES = ["h1", "h2", "[h1]:2222", "a.example.org", "::1", "[::1]:2222", "192.168.1.61", "x"]


@needs_ssh
@pytest.mark.parametrize("line", LINES)
def test_each_line_as_openssh_reads_it(tmp_path: Path, line: str) -> None:
    path = tmp_path / "known_hosts"
    path.write_bytes(f"{line}\nlast ssh-ed25519 {ED}\n".encode("latin-1"))
    for name in [*NAMES, "last"]:
        assert ours(path, name) == expected(path, name), (line, name)


@needs_ssh
@PER_TEST
@given(
    st.lists(
        st.one_of(
            st.sampled_from(LINES),
            st.tuples(
                st.sampled_from(["", "@revoked ", "@cert-authority\t", "@x "]),
                st.lists(st.text("h12.*?![]:", min_size=1, max_size=6), min_size=1, max_size=3).map(",".join),
                st.sampled_from([" ", "\t", "  "]),
                st.sampled_from([f"ssh-ed25519 {ED}", f"ssh-rsa {RSA}", f"ssh-rsa  {ED}", "ssh-rsa x"]),
            ).map("".join),
            st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=30),
        ),
        max_size=6,
    ),
    st.sampled_from(NAMES),
)
def test_any_file_as_openssh_reads_it(lines: list[str], name: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "known_hosts")
        path.write_bytes(("\n".join(lines) + "\n").encode("latin-1"))
        assert ours(path, name) == expected(path, name)


@PER_TEST
@given(st.binary(max_size=300))
def test_any_bytes_are_lines_or_named(data: bytes) -> None:
    for entry in known_hosts.parse(data):
        assert isinstance(entry, (Entry, Unreadable)) and entry.line <= data.count(b"\n") + 1
        if isinstance(entry, Entry):
            known_hosts.matches(entry.names, "h1")


def test_patterns_take_bounded_time() -> None:
    began = time.process_time()
    names = (b"*a" * 500 + b"b,") * 50
    assert not known_hosts.matches(names, "a" * 255)
    assert time.process_time() - began < 5


KINDS = sorted(check_answers.LIMITS)


@PER_TEST
@given(
    st.lists(
        st.tuples(
            st.sampled_from([*KINDS, 0, 99]),
            st.one_of(
                st.binary(max_size=200), st.sampled_from([b"", b"[]", b"{}", b"null", b"NaN", b"[[],{}]"])
            ),
        ),
        max_size=5,
    ),
    st.lists(st.integers(1, 50), max_size=20),
    st.binary(max_size=10),
)
def test_frames_are_messages_or_garbled(
    messages: list[tuple[int, bytes]], cuts: list[int], tail: bytes
) -> None:
    """Cut anywhere, the same messages come out; what is none is Garbled, and nothing else is raised."""
    stream = b"".join(wire_format.frame(kind, payload) for kind, payload in messages) + tail
    frames, found, at = wire_format.Frames(check_answers.LIMITS), [], 0
    try:
        for cut in [*cuts, len(stream)]:
            found += [(kind, bytes(payload)) for kind, payload in frames.feed(stream[at : at + cut])]
            at += cut
    except wire_format.Garbled:
        pass
    assert found == messages[: len(found)]
    for kind, payload in found:
        view = memoryview(payload)
        try:
            if kind == wire_format.OUTCOME:
                check_answers.outcome_of(view, lambda token: None)
            elif kind == wire_format.UP:
                check_answers.about_of(view, 0)
            elif kind in (wire_format.WANT, wire_format.BAD, wire_format.GONE):
                check_answers.digests_of(view, lambda digest: True, "")
            elif kind == wire_format.TROUBLE:
                check_answers.line(wire_format.value_of(view))
            elif kind == wire_format.PACK:
                list(send.unpack(view))
            elif kind == wire_format.PART:
                send.part(view)
        except wire_format.Garbled:
            continue
