"""Known hosts as OpenSSH reads them, through the command line and against a real `ssh`; and what `hosts check` says."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.remote_tools import Farm, Remote, apart, host_events
from tests.support.sshd.host import Host
from tests.support.sshd.keys import pair

ONE = "steps:\n  - name: one\n    outputs: one\n    run: echo one > one\n"


@pytest.fixture
def h1(remote: Remote) -> Host:
    (host,) = remote.standing("h1")
    return host


def key(host: Host) -> str:
    """Kind and key of ``host``."""
    return " ".join(host.public.split()[:2])


FILES = {
    "two blanks": "HOST  KEY\n",
    "behind broken lines": "HOST ssh-ed25519 AAAA!!!\nHOST ssh-martian AAAA\n@odd HOST KEY\nnothing\nHOST KEY\n",
    "behind latin-1": "b\xfccher KEY \xe4\xf6\nHOST KEY\n",
    "carriage returns": "HOST KEY\r\n",
    "a pattern that excludes it": "*,!HOST KEY\n",
    "an authority only": "@cert-authority * KEY\n",
    "another key first": "HOST OTHER\nHOST KEY\n",
    "revoked only": "@revoked HOST KEY\n",
}


@pytest.mark.parametrize("how", FILES)
def test_a_host_is_known_where_it_is_for_ssh(
    remote: Remote, h1: Host, how: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = " ".join(pair(tmp_path_factory.mktemp("key") / "other").split()[:2])
    text = FILES[how].replace("HOST", h1.address).replace("KEY", key(h1)).replace("OTHER", other)
    remote.client.known_hosts.write_bytes(text.encode("latin-1"))
    remote.hosts_text(remote.item(h1))
    real = remote.client.run(h1, "-o", "StrictHostKeyChecking=yes", "true")
    checked = remote("hosts", "check", "--hosts", str(remote.file), "--json")
    assert (checked.code == 0) == (real.returncode == 0), (real.stderr, checked.stdout)


def test_an_unreadable_line_is_named_and_passed_over(remote: Remote, h1: Host) -> None:
    remote.client.known_hosts.write_text(f"x ssh-ed25519 AAAA!!!\n{h1.address} {key(h1)}\n@odd y {key(h1)}\n")
    remote.hosts_text(remote.item(h1))
    remote.recipe(ONE)
    ((status, reason),) = host_events(remote.there())
    assert status == "up" and ":1: its key is no base64" in reason and ":3: the marker '@odd'" in reason


def test_a_revoked_key_is_refused_whatever_is_asked(remote: Remote, h1: Host) -> None:
    text = f"{h1.address} {key(h1)}\n@revoked {h1.address} {key(h1)}\n"
    remote.client.known_hosts.write_text(text)
    remote.hosts_text(remote.item(h1))
    remote.recipe(ONE)
    result = remote.there("--accept-new-host-keys", jobs=1, code=5)
    assert "revoked" in result.stderr and remote.client.known_hosts.read_text() == text


def test_a_new_key_goes_behind_a_last_line_without_an_end(remote: Remote, h1: Host) -> None:
    own = remote.workspace.parent / "known"
    own.write_text(f"elsewhere {key(h1)}")
    remote.hosts_text(remote.item(h1, known_hosts=own))
    remote.recipe(ONE)
    remote.there("--accept-new-host-keys")
    assert own.read_text() == f"elsewhere {key(h1)}\n{h1.address} {key(h1)}\n"


# Certificates of hosts

CERTIFICATES = {
    "ed25519": ("ed25519", "-h -n HOST -V +1h", "@cert-authority * CA\n"),
    "ecdsa": ("ecdsa", "-h -n other,HOST", "@cert-authority HOST CA\n"),
    "rsa": ("rsa", "-h -n HOST", "@cert-authority * CA\n"),
    "rsa with SHA-1": ("rsa", "-t ssh-rsa -h -n HOST", "@cert-authority * CA\n"),
    "a pattern": ("ed25519", "-h -n *", "@cert-authority * CA\n"),
    "another name": ("ed25519", "-h -n elsewhere", "@cert-authority * CA\n"),
    "another time": ("ed25519", "-h -n HOST -V -2h:-1h", "@cert-authority * CA\n"),
    "of a user": ("ed25519", "-n HOST", "@cert-authority * CA\n"),
    "another authority": ("ed25519", "-h -n HOST", "@cert-authority * OTHER\n"),
    "an authority for others": ("ed25519", "-h -n HOST", "@cert-authority *.example.org CA\n"),
    "a revoked authority": ("ed25519", "-h -n HOST", "@cert-authority * CA\n@revoked * CA\n"),
    "the authority as a key": ("ed25519", "-h -n HOST", "HOST CA\n"),
    "of no use, and a key": ("ed25519", "-h -n elsewhere", "@cert-authority * CA\nHOST KEY\n"),
}
GOOD = {"ed25519", "ecdsa", "rsa", "of no use, and a key"}


@pytest.fixture(scope="module")
def certified(farm: Farm) -> Iterator[Host]:
    """A host that shows a certificate."""
    host = Host("certified", farm.client.public, below=farm.below, sshd="HostCertificate /mnt/host/cert.pub")
    yield host
    host.close()


@apart
@pytest.mark.parametrize("how", CERTIFICATES)
def test_a_certificate_counts_where_it_does_for_ssh(
    remote: Remote, certified: Host, how: str, tmp_path: Path
) -> None:
    kind, options, text = CERTIFICATES[how]
    public = {"CA": pair(tmp_path / "ca", kind), "OTHER": pair(tmp_path / "other"), "KEY": certified.public}
    words = options.replace("HOST", certified.address).split()
    key_file = tmp_path / "cert.pub"
    key_file.write_text(certified.public + "\n")
    command = ["ssh-keygen", "-q", "-s", str(tmp_path / "ca"), "-I", "test", *words, str(key_file)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    (certified.base / "cert.pub").write_text((tmp_path / "cert-cert.pub").read_text())
    certified.stop_sshd()
    certified.start_sshd()
    for word, line in public.items():
        text = text.replace(word, " ".join(line.split()[:2]))
    remote.client.known_hosts.write_text(text.replace("HOST", certified.address))
    remote.hosts_text(remote.item(certified))
    real = remote.client.run(certified, "-o", "StrictHostKeyChecking=yes", "true")
    checked = remote("hosts", "check", "--hosts", str(remote.file), "--json")
    assert (checked.code == 0) == (real.returncode == 0), (real.stderr, checked.stdout)
    assert (checked.code == 0) == (how in GOOD)
    if how in ("another name", "another time", "rsa with SHA-1"):
        assert "certificate that it shows does not count" in checked.stdout + checked.stderr


# hosts check


@apart
def test_a_full_disk_is_not_ok(remote: Remote) -> None:
    host = remote.fresh("small")
    remote.hosts(host, workdir=f"{host.tmpfs('small', 'size=4m')}/wd")
    result = remote("hosts", "check", "--hosts", str(remote.file))
    assert result.code == 5 and "ok" not in result.stdout.split() and "low disk" in result.stdout
    assert "4 MB free" in result.stdout or "3 MB free" in result.stdout, result.stdout
    about = json.loads(remote("hosts", "check", "--hosts", str(remote.file), "--json").stdout)
    assert about["problem"] == "low disk" and not about["usable"]


def test_the_ssh_command_to_try_is_one_that_can_be_typed(remote: Remote, h1: Host) -> None:
    remote.client.trust(h1)
    remote.hosts_text(remote.item(h1, name="alias", user="nosuch"))
    said = remote("hosts", "check", "--hosts", str(remote.file)).stdout
    assert f"nosuch@{h1.address}" in said.rpartition("(try ssh ")[2], said
    remote.client.config(f"Host {h1.address}\n  UserKnownHostsFile {remote.client.known_hosts}\n")
    said = remote("hosts", "check", "--host", f"nosuch@{h1.address}").stdout
    assert f"(try ssh nosuch@{h1.address})" in said or "refused" in said, said
