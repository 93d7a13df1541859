"""Hosts: where they are declared, how they are reached, which steps they get."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.f0 import F0
from tests.support.remote_tools import Remote, apart, host_events, ran_at
from tests.support.sshd.host import Host
from tests.support.sshd.keys import known

WHERE = """\
steps:
  - name: where
    foreach:
      n:
        range: 1..6
    outputs: out/${{ n }}
    run: echo ${{ n }} > ${{ outputs }}; sleep 0.2
"""

ONE = """\
steps:
  - name: one
    outputs: one
    run: echo one > one
"""

LABELS = """\
steps:
  - name: anywhere
    outputs: anywhere
    run: echo > anywhere
  - name: big
    runs_on: big
    outputs: big
    run: echo > big
  - name: both
    runs_on:
      - big
      - gpu
    outputs: both
    run: echo > both
  - name: named
    runs_on: h1
    outputs: named
    run: echo > named
  - name: here
    runs_on: local
    outputs: here
    run: echo > here
"""


def test_two_hosts_give_what_this_machine_gives(remote: Remote, tmp_path: Path) -> None:
    remote.hosts(*remote.standing("h1", "h2"), slots=2)
    remote.recipe(WHERE)
    result = remote.there()
    assert result.summary["ran"] == 6
    assert set(ran_at(result).values()) == {"h1", "h2"}, (
        "with four slots six steps of 0.2 s do not fit one host"
    )
    made = {path.name: path.read_bytes() for path in (remote.workspace / "out").iterdir()}
    here = tmp_path / "here"
    here.mkdir()
    local = F0(here)
    local.recipe(WHERE)
    local.run()
    assert made == {path.name: path.read_bytes() for path in (here / "out").iterdir()}
    assert len(made) == 6


def test_this_machine_takes_steps_as_well(remote: Remote) -> None:
    remote.hosts(*remote.standing("h1"), slots=1)
    remote.recipe(WHERE)
    result = remote.there(jobs=1)
    at = ran_at(result)
    assert "h1" in at.values()
    assert set(at.values()) <= {"h1", "local"} and list(at.values()).count("h1") < 6, at
    assert result.summary["ran"] == 6


def test_j0_without_hosts_is_wrong_usage(f0: F0) -> None:
    f0.recipe(ONE)
    result = f0("run", "recipe.yaml", "-j0")
    assert result.code == 2
    assert "host" in result.stderr
    assert not f0.exists("one")


def test_slots_bound_what_runs_at_one_time(remote: Remote) -> None:
    (host,) = remote.standing("h1")
    remote.hosts(host, slots=2, env={"BUSY": f"{host.layout.home}/busy{remote.number}"})
    remote.recipe(
        "steps:\n  - name: s\n    foreach:\n      n:\n        range: 1..7\n    outputs: out/${{ n }}\n    run: |\n"
        "      mkdir -p $BUSY; : > $BUSY/${{ n }}\n      ls $BUSY | wc -l > ${{ outputs }}\n"
        "      sleep 0.15; ls $BUSY | wc -l >> ${{ outputs }}; rm $BUSY/${{ n }}\n"
    )
    remote.there()
    seen = [int(line) for n in range(1, 8) for line in remote.read(f"out/{n}").split()]
    assert max(seen) == 2, seen


def test_slots_are_the_cores_of_the_host_where_they_are_not_given(remote: Remote) -> None:
    remote.hosts(*remote.standing("h1"))
    check = remote("hosts", "check", "--hosts", str(remote.file))
    assert check.code == 0, check
    cores = len(os.sched_getaffinity(0))
    assert any("h1" in line and str(cores) in line for line in check.stdout.splitlines()), check.stdout


def test_labels(remote: Remote) -> None:
    h1, h2 = remote.standing("h1", "h2")
    remote.client.trust(h1, h2)
    remote.hosts_text(remote.item(h1, labels=["big"]) + remote.item(h2, labels=["big", "gpu"]))
    remote.recipe(LABELS)
    at = ran_at(remote.there(jobs=1))
    assert at["both"] == "h2" and at["named"] == "h1" and at["big"] in ("h1", "h2"), at
    assert at.get("here", "local") == "local"


@pytest.mark.parametrize("label, jobs", [("none", "1"), ("local", "0")])
def test_a_label_that_nobody_has(remote: Remote, label: str, jobs: str) -> None:
    (host,) = remote.standing("h1")
    remote.hosts(host)
    remote.recipe(
        ONE
        + f"  - name: two\n    runs_on:\n      - h1\n      - {label}\n    outputs: two\n    run: echo > two\n"
        if label == "none"
        else ONE + "  - name: two\n    runs_on: local\n    outputs: two\n    run: echo > two\n"
    )
    before = host.visits
    result = remote("run", "recipe.yaml", "--hosts", str(remote.file), "-j", jobs)
    assert result.code == 2
    assert "two.runs_on" in result.stderr and "recipe.yaml:" in result.stderr, result.stderr
    assert not remote.exists("one") and host.visits == before


def test_runs_on_of_defaults(remote: Remote) -> None:
    remote.hosts(*remote.standing("h1", "h2"))
    remote.recipe("defaults:\n  runs_on: h2\n" + WHERE)
    assert set(ran_at(remote.there(jobs=2)).values()) == {"h2"}


@pytest.mark.parametrize(
    "text, line, words",
    [
        ("hosts:\n  - name: a\n    adress: x\n", 3, ["adress", "address"]),
        ("hosts:\n  - address: x\n", 2, ["name"]),
        ("hosts:\n  - name: local\n", 2, ["local"]),
        ("hosts:\n  - name: a\n  - name: b\n  - name: a\n", 4, ["a"]),
        ("hosts:\n  - name: a\n    slots: many\n", 3, ["slots", "many"]),
        ("hosts:\n  - name: a\n    slots: 0\n", 3, ["slots"]),
        ("hosts:\n  - name: a\n    port: 70000\n", 3, ["port"]),
        ("hosts:\n  - name: a\n    name: b\n", 3, ["name"]),
        ("host:\n  - name: a\n", 1, ["host", "hosts"]),
        ("hosts:\n  - {name: a}\n", 2, []),
    ],
)
def test_a_wrong_hosts_file(remote: Remote, text: str, line: int, words: list[str]) -> None:
    remote.file.write_text(text)
    remote.recipe(ONE)
    args = ("run", "recipe.yaml") if "adress" in words else ("hosts", "check")
    result = remote(*args, "--hosts", str(remote.file))
    assert result.code == 2, result
    assert f"hosts.yaml:{line}" in result.stderr, result.stderr
    assert all(word in result.stderr for word in words), result.stderr
    assert not remote.exists("one")


def test_every_fault_of_a_hosts_file_is_told_at_once(remote: Remote) -> None:
    remote.file.write_text("hosts:\n  - name: a\n    prot: 22\n  - name: b\n    slots: x\n")
    result = remote("hosts", "check", "--hosts", str(remote.file))
    assert result.code == 2
    assert "hosts.yaml:3" in result.stderr and "hosts.yaml:5" in result.stderr, result.stderr


def test_a_hosts_file_that_is_not_there(remote: Remote) -> None:
    remote.recipe(ONE)
    result = remote("run", "recipe.yaml", "--hosts", "nowhere.yaml")
    assert result.code == 2 and "nowhere.yaml" in result.stderr
    assert not remote.exists("one")


@pytest.mark.parametrize("text", ["", "@a", "a:b", "a:22:22", "a/0", "[::1]x", "a b", "-oProxy=x"])
def test_a_wrong_host_option(remote: Remote, text: str) -> None:
    remote.recipe(ONE)
    result = remote("run", "recipe.yaml", f"--host={text}", "-j0")
    assert result.code == 2 and "--host" in result.stderr, result
    assert not remote.exists("one")


def test_hosts_of_file_and_options_add_up(remote: Remote) -> None:
    h1, h2 = remote.standing("h1", "h2")
    remote.client.trust(h1, h2)
    remote.hosts_text(remote.item(h1, slots=2))
    remote.recipe(WHERE)
    result = remote.there("--host", f"{h2.user}@{h2.address}:{h2.port}/2")
    name = f"{h2.address}:{h2.port}"
    assert set(ran_at(result).values()) == {"h1", name}, ran_at(result)
    assert set(result.summary["hosts"]) == {"h1", name}


def test_a_name_given_twice(remote: Remote) -> None:
    h1, _ = remote.standing("h1", "h2")
    remote.hosts(h1)
    remote.recipe(ONE)
    for args in (("--hosts", str(remote.file), "--host", "h1"), ("--host", "x", "--host", "me@x/2")):
        result = remote("run", "recipe.yaml", *args)
        assert result.code == 2, result
        assert "twice" in result.stderr, result.stderr
    assert not remote.exists("one")


@apart
def test_an_ipv6_address(remote: Remote) -> None:
    (host,) = remote.standing("h1")
    remote.client.trust(host)
    remote.recipe(ONE)
    result = remote.run("--host", f"{host.user}@[{host.address6}]:22/1", "-j0")
    assert ran_at(result) == {"one": f"[{host.address6}]:22"}
    assert remote.read("one") == "one\n"


# What the user's ssh configuration says


def config(host: Host, name: str, key: Path | None, more: str = "") -> str:
    """A section of an ssh configuration."""
    identity = f"  IdentityFile {key}\n" if key else ""
    return f"Host {name}\n  HostName {host.address}\n  Port {host.port}\n  User {host.user}\n{identity}{more}"


@apart
def test_the_users_ssh_configuration_is_honoured(remote: Remote) -> None:
    (host,) = remote.standing("h1")
    remote.client.trust(host)
    (remote.client.ssh / "more").write_text(config(host, "alias*", None))
    remote.client.config("Include more\n")
    remote.hosts_text("  - name: alias1\n")
    remote.recipe(ONE)
    try:
        assert ran_at(remote.there()) == {"one": "alias1"}
        remote.recipe(ONE.replace("echo one", "echo two"))
        assert ran_at(remote.run("--host", "alias2", "-j0")) == {"one": "alias2"}
        # What the hosts file says goes over what the configuration says.
        remote.client.config(config(host, "alias1", None).replace(f"User {host.user}", "User nobody"))
        remote.hosts_text(f"  - name: alias1\n    user: {host.user}\n")
        remote.recipe(ONE.replace("echo one", "echo three"))
        assert ran_at(remote.there()) == {"one": "alias1"}
    finally:
        remote.client.config("")


@apart
def test_a_jump_host(remote: Remote) -> None:
    (host,) = remote.standing("h1")
    remote.client.trust(host)
    with open(remote.client.known_hosts, "a") as file:
        file.write(known("127.0.0.1", 22, host.public))
    # Behind it lies its own loopback address, which only it can reach.
    inner = "Host inner\n  HostName 127.0.0.1\n  Port 22\n  ProxyJump jump\n"
    remote.client.config(config(host, "jump", remote.client.key) + inner + f"  User {host.user}\n")
    before = host.log.count("Connection from 127.0.0.1")
    remote.recipe(ONE)
    try:
        assert ran_at(remote.run("--host", "inner", "-j0")) == {"one": "inner"}
    finally:
        remote.client.config("")
    assert host.log.count("Connection from 127.0.0.1") == before + 1
    assert remote.read("one") == "one\n"


@apart
def test_keys_of_the_agent(remote: Remote) -> None:
    (host,) = remote.standing("h1")
    remote.client.trust(host)
    said = subprocess.run(["ssh-agent", "-s"], capture_output=True, text=True, check=True).stdout
    env = dict(
        part.split("=", 1) for part in said.replace("\n", ";").split(";") if "=" in part and " " not in part
    )
    try:
        add = ["ssh-add", "-q", str(remote.client.key)]
        subprocess.run(add, env={**os.environ, **env}, check=True, capture_output=True)
        key = remote.client.key.read_bytes()
        remote.client.key.unlink()
        try:
            remote.recipe(ONE)
            option = f"{host.user}@{host.address}:{host.port}"
            without = remote("run", "recipe.yaml", "--host", option, "-j0")
            assert without.code == 5, without
            remote.run("--host", option, "-j0", env={"SSH_AUTH_SOCK": env["SSH_AUTH_SOCK"]})
        finally:
            remote.client.key.write_bytes(key)
            remote.client.key.chmod(0o600)
    finally:
        os.kill(int(env["SSH_AGENT_PID"]), 15)
    assert remote.read("one") == "one\n"


# Host keys


def test_an_unknown_host_key_is_refused(remote: Remote) -> None:
    h1, h2 = remote.standing("h1", "h2")
    remote.hosts(h1, h2)
    remote.client.trust(h2)
    remote.recipe(ONE)
    before = h1.logins
    result = remote("run", "recipe.yaml", "--hosts", str(remote.file), "--json")
    assert result.code == 5, "although h2 and this machine are there"
    assert "h1" in result.stderr and "--accept-new-host-keys" in result.stderr, result.stderr
    assert not remote.exists("one") and h1.logins == before


def test_an_unknown_host_key_is_added_when_asked(remote: Remote) -> None:
    (host,) = remote.standing("h1")
    remote.hosts(host)
    own = remote.workspace.parent / "known"
    remote.hosts_text(remote.item(host, known_hosts=own))
    remote.recipe(ONE)
    remote.there("--accept-new-host-keys")
    assert remote.read("one") == "one\n"
    assert host.public.split()[1] in own.read_text()
    remote.recipe(ONE.replace("echo one", "echo two"))
    remote.there()
    assert remote.read("one") == "two\n"


@apart
def test_a_changed_host_key_is_always_refused(remote: Remote) -> None:
    host = remote.fresh("turncoat")
    remote.hosts(host)
    old = remote.client.known_hosts.read_text()
    host.change_key()
    remote.recipe(ONE)
    for more in ((), ("--accept-new-host-keys",)):
        result = remote("run", "recipe.yaml", "--hosts", str(remote.file), *more)
        assert result.code == 5
        assert "turncoat" in result.stderr and "changed" in result.stderr, result.stderr
    assert remote.client.known_hosts.read_text() == old
    assert not remote.exists("one") and host.logins == 0


# The other keys of an item


@apart
def test_the_default_workdir(remote: Remote) -> None:
    host = remote.fresh("h")
    remote.client.trust(host)
    remote.hosts_text(remote.item(host, workdir=None))
    remote.recipe(ONE)
    remote.there()
    assert host.workdir.stat().st_mode & 0o777 == 0o700
    home = sorted(os.listdir(host.inside("")))
    assert home == [".bashrc", ".cache"] and os.listdir(host.inside(".cache")) == ["f0make"], home
    # It may be deleted between runs.
    shutil.rmtree(host.workdir)
    remote.recipe(ONE.replace("echo one", "echo two"))
    remote.there()
    assert remote.read("one") == "two\n"


def test_env_of_a_host(remote: Remote) -> None:
    (host,) = remote.standing("h1")
    remote.hosts(host, env={"PLACE": "there", "BOTH": "host"})
    remote.recipe(
        "env:\n  BOTH: declared\nsteps:\n  - name: e\n    outputs: e\n    run: echo $PLACE $BOTH > e\n"
    )
    remote.there()
    assert remote.read("e") == "there declared\n"
    remote.hosts(host, env={"PLACE": "elsewhere"})
    before = host.visits
    assert remote.there().states == {"e": "current"}, "it is not part of the key"
    assert host.visits == before


# hosts check


def check(remote: Remote, *more: str) -> tuple[int, str]:
    """`hosts check`: exit code, and all that is said."""
    result = remote("hosts", "check", "--hosts", str(remote.file), *more)
    return result.code, result.stdout + result.stderr


def test_hosts_check(remote: Remote) -> None:
    h1, h2 = remote.standing("h1", "h2")
    remote.hosts(h1, h2, slots=3)
    code, said = check(remote)
    assert code == 0
    for name in ("h1", "h2"):
        lines = [line for line in said.splitlines() if name in line]
        assert lines and any("3" in line for line in lines), said
    assert "3.11" in said or "python" in said.lower(), said


def test_hosts_check_says_what_would_go_wrong_and_how_to_mend_it(remote: Remote) -> None:
    h1, h2 = remote.standing("h1", "h2")
    remote.client.trust(h1)
    closed = remote.proxy(h1)
    closed.close()
    remote.proxies.remove(closed)
    items = [
        remote.item(h1),
        remote.item(h2),
        remote.item(h1, name="closed", address="127.0.0.1", port=closed.port),
        remote.item(h1, name="stranger", user="nosuch"),
        remote.item(h1, name="nowhere", address="no-such-host.invalid"),
        remote.item(h1, name="readonly", workdir="/proc/f0make"),
    ]
    remote.hosts_text("".join(items))
    began = time.monotonic()
    code, said = check(remote, "--connect-timeout", "3s")
    assert code == 5 and time.monotonic() - began < 15
    lines = {name: [x for x in said.splitlines() if name in x] for name in ("h1", "h2", "closed", "stranger")}
    assert all(lines.values()), said
    assert "--accept-new-host-keys" in said and "known_hosts" in said
    assert "refused" in said and "no-such-host.invalid" in said and "/proc/f0make" in said, said
    assert "Permission denied" in said or "login" in said, said


@apart
def test_hosts_check_names_an_old_python(remote: Remote) -> None:
    try:
        old = remote.fresh("old", python="3.7")
    except LookupError as error:
        pytest.skip(str(error))
    none = remote.fresh("none", python="")
    remote.hosts(old, none)
    code, said = check(remote)
    assert code == 5
    assert any("old" in line and "3.7" in line for line in said.splitlines()), said
    assert any("none" in line and "python3" in line for line in said.splitlines()), said
    assert "3.9" in said


def test_hosts_check_without_hosts(remote: Remote) -> None:
    result = remote("hosts", "check")
    assert result.code == 2 and "--hosts" in result.stderr


# What is current needs nobody


@apart
def test_a_run_in_which_all_is_current_opens_no_connection(remote: Remote) -> None:
    host = remote.fresh("h")
    remote.hosts(host)
    remote.recipe(WHERE)
    remote.there()
    before = host.visits
    assert set(remote.there().states.values()) == {"current"}
    remote.write("note", "unrelated")
    remote.recipe("description: a word\n" + WHERE)
    assert set(remote.there().states.values()) == {"current"}
    (remote.workspace / "out/3").unlink()
    assert remote.there().states["where[n=3]"] == "restored"
    assert host.visits == before
    host.crash()
    result = remote.there()
    assert set(result.states.values()) == {"current"} and not host_events(result)
