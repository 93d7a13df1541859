"""What goes wrong with hosts, and what a run does about it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.f0 import Result
from tests.support.remote_tools import Remote, apart, host_events, ran_at
from tests.support.sshd.host import Host
from tests.support.sshd.proxy import Proxy

pytestmark = apart

FAST = ("--lease", "2s", "--connect-timeout", "2s")

SLOW_FIRST = """\
steps:
  - name: slow
    runs_on: either
    inputs: in
    outputs: out
    run: |
      echo $PLACE half > out
      : > $FLAGS-started
      [ ${{ attempt }} != 1 ] || (setsid sh -c 'trap "" TERM HUP; sleep 300' & sleep 300)
      (echo $PLACE ${{ attempt }}; cat in) > out
"""
"""The first attempt never ends, and leaves a process that ignores signals in a session of its own."""

BLOCK = """\
  - name: block
    runs_on: h2
    priority: 9
    outputs: block
    run: |
      : > $FLAGS-blocked
      until [ -e $FLAGS-go ]; do sleep 0.05; done
      : > block
"""
"""Holds the only slot of the other host until it is told to end: `slow` begins at the first one."""

ONE = "steps:\n  - name: one\n    outputs: one\n    run: echo one > one\n"


def pair(remote: Remote) -> tuple[Host, Proxy]:
    """A fresh host `first`, and a way to it that can be cut and stalled."""
    first = remote.fresh("first")
    return first, remote.proxy(first)


def hosts(remote: Remote, *places: Host | Proxy, **more: object) -> None:
    """A hosts file: one slot each, a label that all have, and what steps see of where they are."""
    remote.client.trust(*places)
    items = []
    for place in places:
        env = {"PLACE": place.name, "FLAGS": f"{place.layout.home}/{remote.number}"}
        items.append(remote.item(place, **{"env": env, "slots": 1, "labels": ["either"], **more}))
    remote.hosts_text("".join(items))


def flag(remote: Remote, host: Host, name: str) -> Path:
    """A file by which a step at ``host`` and the test tell each other something."""
    return host.inside(f"{remote.number}-{name}")


def agents(host: Host) -> list[int]:
    """f0make's own process at a host: the ancestor of all others, apart from a login shell."""
    found = host.processes()
    shells = ("sh", "bash", "-bash", "/bin/sh", "/bin/bash")
    own = [p for p, c in sorted(found.items()) if "python3" in c.split()[0] and c.split()[0] not in shells]
    return own[:1]


# At the start


def cable_out(remote: Remote, host: Host, proxy: Proxy) -> str:
    host.cable(False)
    return remote.item(host, env={"PLACE": "x"})


def answers_nothing(remote: Remote, host: Host, proxy: Proxy) -> str:
    proxy.stall()
    return remote.item(proxy)


def falls_silent(remote: Remote, host: Host, proxy: Proxy) -> str:
    proxy.stall_at = 1600
    return remote.item(proxy)


def hangs_up(remote: Remote, host: Host, proxy: Proxy) -> str:
    proxy.refuse()
    return remote.item(proxy)


def no_port(remote: Remote, host: Host, proxy: Proxy) -> str:
    host.stop_sshd()
    return remote.item(host)


def no_login(remote: Remote, host: Host, proxy: Proxy) -> str:
    return remote.item(host, user="nosuch")


def no_name(remote: Remote, host: Host, proxy: Proxy) -> str:
    return remote.item(host, address="no-such-host.invalid")


def no_key(remote: Remote, host: Host, proxy: Proxy) -> str:
    return remote.item(host, key="/nonexistent/key")


@pytest.mark.parametrize(
    "trouble", [cable_out, answers_nothing, falls_silent, hangs_up, no_port, no_login, no_name, no_key]
)
def test_a_host_that_cannot_be_had_is_left_out(
    remote: Remote, trouble: Callable[[Remote, Host, Proxy], str]
) -> None:
    first, proxy = pair(remote)
    remote.client.trust(first, proxy)
    remote.hosts_text(trouble(remote, first, proxy))
    remote.recipe(ONE)
    began = time.monotonic()
    result = remote.there(*FAST, code=5)
    assert time.monotonic() - began < 15
    assert not remote.exists("one")
    ((status, reason),) = host_events(result)
    assert status == "left-out" and reason
    line = next(line for line in result.stderr.splitlines() if "first" in line)
    assert reason in line or "left out" in line, result.stderr
    if trouble not in (cable_out, no_login):
        return
    result = remote.there(*FAST, jobs=1)
    assert result.summary["ran"] == 1 and "first" in result.stderr
    assert [s for s, _ in host_events(result, "first")] in (["left-out"], []), "here it may be done before"


def test_a_step_that_only_a_host_left_out_could_run(remote: Remote) -> None:
    """What else can run does; the end says that a host was missing."""
    first, _ = pair(remote)
    hosts(remote, first, *remote.standing("h2"))
    first.stop_sshd()
    remote.recipe(ONE.replace("    outputs", "    runs_on: first\n    outputs"))
    result = remote.there(*FAST, code=5)
    assert "first" in result.stderr and "one" in result.stderr
    assert host_events(result, "first")[0][0] == "left-out"


# In the middle


def cut(host: Host, proxy: Proxy) -> None:
    proxy.cut()


def stall(host: Host, proxy: Proxy) -> None:
    proxy.stall()


def pull_the_cable(host: Host, proxy: Proxy) -> None:
    host.cable(False)


def stop_sshd(host: Host, proxy: Proxy) -> None:
    host.signal_sshd(signal.SIGSTOP)


def kill_sshd(host: Host, proxy: Proxy) -> None:
    host.stop_sshd()


def stop_agent(host: Host, proxy: Proxy) -> None:
    for pid in agents(host):
        os.kill(pid, signal.SIGSTOP)


def kill_agent(host: Host, proxy: Proxy) -> None:
    for pid in agents(host):
        os.kill(pid, signal.SIGKILL)


def crash(host: Host, proxy: Proxy) -> None:
    host.crash()


AT_ONCE = (cut, kill_sshd, kill_agent)
"""The connection breaks: no lease must be waited for."""


@pytest.mark.parametrize(
    "trouble", [cut, stall, pull_the_cable, stop_sshd, kill_sshd, stop_agent, kill_agent, crash]
)
def test_a_step_goes_on_elsewhere(remote: Remote, trouble: Callable[[Host, Proxy], None]) -> None:
    first, proxy = pair(remote)
    (second,) = remote.standing("h2")
    hosts(remote, proxy, second)
    remote.write("in", os.urandom(100_000))
    remote.recipe(SLOW_FIRST + BLOCK)
    lease = 60 if trouble in AT_ONCE else 2
    run = remote.begin("--lease", f"{lease}s", "--connect-timeout", "2s")
    run.until(flag(remote, first, "started"), flag(remote, second, "blocked"))
    began = time.monotonic()
    trouble(first, proxy)
    flag(remote, second, "go").touch()
    result = run.end()
    took = time.monotonic() - began
    assert took < 20.0, took
    assert (remote.workspace / "out").read_bytes() == b"h2 2\n" + (remote.workspace / "in").read_bytes()
    assert ran_at(result)["slow"] == "h2" and result.summary["failed"] == 0
    assert "lost" in [status for status, _ in host_events(result, "first")]
    assert "first" in result.stderr
    assert sorted(remote.records()) == ["block", "slow"]
    assert not second.quiet()
    if trouble is not crash:
        if trouble is stop_sshd:
            first.signal_sshd(signal.SIGCONT)
        if trouble is stop_agent:
            # Only a stopped agent cannot end its steps before it goes on.
            for pid in agents(first):
                os.kill(pid, signal.SIGCONT)
        assert not first.quiet(6.0)
        if trouble is not kill_agent:
            assert os.listdir(first.workdir), "the test looks at the right place"


def test_losses_are_no_failures_of_the_step(remote: Remote) -> None:
    """`retries` stay for the step's own failures, of which there is one."""
    first, proxy = pair(remote)
    hosts(remote, proxy)
    remote.recipe(
        "steps:\n  - name: s\n    retries: 1\n    outputs: s\n    run: |\n      : > $FLAGS-a${{ attempt }}\n"
        "      case ${{ attempt }} in 1|2) sleep 300;; 3) exit 1;; esac\n      echo ${{ attempt }} > s\n"
    )
    run = remote.begin(*FAST)
    for attempt in (1, 2):
        run.until(flag(remote, first, f"a{attempt}"))
        proxy.cut()
    result = run.end()
    assert remote.read("s") == "4\n" and result.summary["ran"] == 1


def test_a_step_that_takes_its_host_down_every_time(remote: Remote) -> None:
    """It does not go on like that for ever."""
    first, _ = pair(remote)
    hosts(remote, first)
    remote.recipe("steps:\n  - name: s\n    outputs: s\n    run: pkill -9 -o python3; sleep 9\n")
    result = remote.there(*FAST, code=5)
    assert host_events(result)[-1][0] == "left-out"
    assert not first.quiet(6.0) and not remote.exists("s")


def test_the_last_host_is_lost_and_comes_back(remote: Remote) -> None:
    first, _ = pair(remote)
    hosts(remote, first)
    remote.write("in", "x\n")
    remote.recipe(SLOW_FIRST)
    run = remote.begin(*FAST, "--reconnect", "30s")
    run.until(flag(remote, first, "started"))
    first.stop_sshd()
    time.sleep(2.5)
    first.start_sshd()
    result = run.end()
    assert remote.read("out") == "first 2\nx\n"
    statuses = [status for status, _ in host_events(result)]
    assert statuses == ["up", "lost", "back"], statuses
    assert not first.quiet(6.0)


def test_the_last_host_is_lost_for_good(remote: Remote) -> None:
    first, proxy = pair(remote)
    hosts(remote, proxy)
    remote.write("in", "x\n")
    remote.recipe(
        ONE.replace(
            "steps:\n",
            SLOW_FIRST.replace("slow", "later").replace("inputs: in", "inputs:\n      - in\n      - one"),
        )
    )
    run = remote.begin(*FAST, "--reconnect", "3s")
    run.until(flag(remote, first, "started"))
    began = time.monotonic()
    proxy.refuse()
    proxy.cut()
    result = run.end(code=5)
    assert 2.5 < time.monotonic() - began < 20
    assert "first" in result.stderr
    assert result.states == {"one": "ran", "later": "cancelled"}, result.states
    assert not remote.exists("out") and not first.quiet(6.0)
    proxy.refuse(False)
    flag(remote, first, "started").unlink()
    run = remote.begin(*FAST)
    run.until(flag(remote, first, "started"))
    proxy.cut()
    result = run.end()
    assert result.states == {"one": "current", "later": "ran"}


def test_a_host_that_comes_back_with_a_result(remote: Remote) -> None:
    """It was thought lost, went on, and finished: what it made does not count."""
    first, proxy = pair(remote)
    (second,) = remote.standing("h2")
    hosts(remote, proxy, second)
    remote.recipe(
        "steps:\n  - name: s\n    runs_on: either\n    outputs:\n      - s\n      - d/\n    run: |\n"
        "      : > $FLAGS-started; mkdir -p d; echo $PLACE > d/$PLACE\n"
        "      [ $PLACE = h2 ] && sleep 2 || sleep 1\n      echo $PLACE > s\n" + BLOCK
    )
    run = remote.begin("--lease", "1500ms", "--connect-timeout", "2s")
    run.until(flag(remote, first, "started"), flag(remote, second, "blocked"))
    proxy.stall()
    flag(remote, second, "go").touch()
    run.until(flag(remote, second, "started"))  # a lease later, when it has ended at the first one
    proxy.stall(False)
    result = run.end()
    assert remote.read("s") == "h2\n" and os.listdir(remote.workspace / "d") == ["h2"]
    assert sorted(remote.records()) == ["block", "s"] and ran_at(result)["s"] == "h2"
    assert [e["step"] for e in result.events if e["event"] == "step"].count("s") == 1


# The end


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_ends_every_remote_process(remote: Remote, number: int, code: int) -> None:
    first = remote.fresh("first")
    hosts(remote, first)
    remote.write("in", "x")
    remote.recipe(SLOW_FIRST)
    run = remote.begin()
    run.until(flag(remote, first, "started"))
    began = time.monotonic()
    run.process.send_signal(number)
    result = run.end(code=code)
    assert time.monotonic() - began < 10
    assert not first.processes(), "before f0make exits"
    assert result.summary["status"] == "interrupted" and not remote.exists("out")
    left = [str(p) for p in first.workdir.rglob("*") if p.name == "out"]
    assert not left, "its private directory is gone"


@pytest.mark.parametrize("unplugged", [False, True])
def test_after_kill_9_the_agents_end_everything_by_themselves(remote: Remote, unplugged: bool) -> None:
    first = remote.fresh("first")
    hosts(remote, first)
    remote.write("in", "x\n")
    remote.recipe(SLOW_FIRST)
    run = remote.begin(*FAST)
    run.until(flag(remote, first, "started"))
    if unplugged:
        first.cable(False)
    os.killpg(run.process.pid, signal.SIGKILL)
    run.process.communicate()
    assert not first.quiet(5.0 if unplugged else 2.0)
    if unplugged:
        first.cable(True)
    flag(remote, first, "started").unlink()
    again = remote.begin(*FAST)
    again.until(flag(remote, first, "started"))
    os.kill(agents(first)[0], signal.SIGKILL)
    again.end()
    assert remote.read("out") == "first 2\nx\n"


# Bad places


def test_a_shell_that_prints_a_greeting(remote: Remote) -> None:
    greeting = "echo Welcome; seq 1 5000; printf 'no newline'; echo 'on stderr' >&2"
    chatty = remote.fresh("chatty", greeting=greeting)
    hosts(remote, chatty)
    remote.write("in", os.urandom(100_000))
    remote.recipe("steps:\n  - name: s\n    inputs: in\n    outputs: s\n    run: cp in s\n")
    assert ran_at(remote.there()) == {"s": "chatty"}
    assert remote.read("s") == remote.read("in")


def test_a_workdir_without_execution(remote: Remote) -> None:
    host = remote.fresh("h")
    place = host.tmpfs("noexec", "size=20m,noexec")
    hosts(remote, host, workdir=f"{place}/wd")
    remote.write("work.py", "def go(out: str) -> None:\n    open(out, 'w').write('py')\n")
    remote.recipe(
        "steps:\n  - name: sh\n    outputs: sh\n    run: echo sh | cat > sh\n"
        "  - name: py\n    module: work\n    function: go\n    args:\n      out: py\n    outputs: py\n"
        "  - name: script\n    outputs: script\n    run: |\n      #!/bin/sh -e\n      echo script > script\n"
    )
    result = remote.there()
    assert result.summary["ran"] == 3
    assert (remote.read("sh"), remote.read("py"), remote.read("script")) == ("sh\n", "py", "script\n")


def said_of(result: Result, *words: str) -> str:
    """The one line of stderr that holds all ``words``."""
    lines = [line for line in result.stderr.splitlines() if all(word in line for word in words)]
    assert lines, (words, result.stderr)
    return lines[0]


def test_a_disk_too_small_for_anything(remote: Remote) -> None:
    host = remote.fresh("tiny")
    place = host.tmpfs("small", "size=8k")
    hosts(remote, host, workdir=f"{place}/wd")
    remote.recipe(ONE)
    result = remote.there(*FAST, code=5)
    assert host_events(result)[0][0] == "left-out"
    said_of(result, "tiny", f"{place}/wd", "full", "workdir")
    remote.client.trust(host, *remote.standing("h2"))
    remote.hosts_text(remote.item(host, workdir=f"{place}/wd") + remote.item(*remote.standing("h2")))
    assert ran_at(remote.there(*FAST)) == {"one": "h2"}


@pytest.mark.parametrize("what", ["inputs", "outputs"])
def test_a_disk_that_fills_up(remote: Remote, what: str) -> None:
    host = remote.fresh("tiny")
    place = host.tmpfs("small", "size=2m")
    (second,) = remote.standing("h2")
    remote.client.trust(host, second)
    remote.hosts_text(
        remote.item(host, workdir=f"{place}/wd", slots=1) + remote.item(second, slots=1, labels=["tiny"])
    )
    remote.write("in", os.urandom(5_000_000 if what == "inputs" else 1000))
    size = "5M" if what == "outputs" else "1k"
    remote.recipe(
        "steps:\n  - name: s\n    runs_on: tiny\n    inputs: in\n    outputs: s\n"
        f"    run: cat in > s; head -c {size} /dev/urandom >> s; wc -c < s > size; wc -c < in >> size\n"
    )
    result = remote.there(*FAST)
    assert ran_at(result) == {"s": "h2"}
    said_of(result, "tiny", f"{place}/wd", "full", "workdir")
    assert (remote.workspace / "s").stat().st_size > 5_000_000


def test_a_workdir_that_cannot_be_written(remote: Remote) -> None:
    host = remote.fresh("h")
    host.sh("mkdir /home/worker/closed; chmod 755 /home/worker/closed")  # root's
    hosts(remote, host, workdir="/home/worker/closed/wd")
    remote.recipe(ONE)
    result = remote.there(*FAST, code=5)
    assert host_events(result)[0][0] == "left-out"
    said_of(result, "h", "/home/worker/closed/wd", "workdir")


@pytest.mark.parametrize("version", ["3.7", "3.8", ""])
def test_a_python_that_is_too_old_or_missing(remote: Remote, version: str) -> None:
    try:
        host = remote.fresh("h", python=version)
    except LookupError as error:
        pytest.skip(str(error))
    hosts(remote, host)
    remote.recipe(ONE)
    result = remote.there(*FAST, code=5)
    assert host_events(result)[0][0] == "left-out"
    line = said_of(result, "h", "python3", "3.9")
    assert version in line


# Contents that are damaged on their way

CORRUPT = """\
import os, subprocess, sys, threading

after, way, home = int(sys.argv[1]), sys.argv[2], os.environ["HOME"]
child = subprocess.Popen(["sh", "-c", os.environ["SSH_ORIGINAL_COMMAND"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def damaged(data):
    left = int(open(home + "/left").read())
    if left > 0:
        with open(home + "/left", "w") as file:
            file.write(str(left - 1))
        data = bytes([data[0] ^ 1]) + data[1:]
    return data


def pump(source, target, name):
    seen = 0
    while data := os.read(source, 65536):
        if name == way and seen <= after < seen + len(data):
            cut = after - seen
            data = data[:cut] + damaged(data[cut:])
        seen += len(data)
        while data:
            data = data[os.write(target, data):]
    if name == "in":
        child.stdin.close()


threading.Thread(target=pump, args=(0, child.stdin.fileno(), "in"), daemon=True).start()
pump(child.stdout.fileno(), 1, "out")
os._exit(child.wait())
"""
"""Stands between sshd and what it was asked to run, and flips a bit ``after`` so many bytes, as often as `left` says."""


def corrupting(remote: Remote, way: str, times: int) -> Host:
    """A host that damages what comes ``way`` ("in", "out"), in the first ``times`` connections."""
    command = f"exec python3 /mnt/host/corrupt.py 1000000 {way}"
    host = remote.fresh("mangler", sshd=f"ForceCommand {command}")
    (host.base / "corrupt.py").write_text(CORRUPT)
    host.sh(f"echo {times} > /home/worker/left; chown worker /home/worker/left")
    return host


COPY = "steps:\n  - name: s\n    inputs: in\n    outputs: s\n    run: (cat in; echo) > s\n"


@pytest.mark.parametrize("way", ["in", "out"])
def test_contents_damaged_once_are_sent_again(remote: Remote, way: str) -> None:
    host = corrupting(remote, way, 1)
    hosts(remote, host)
    remote.write("in", os.urandom(3_000_000))
    remote.recipe(COPY)
    result = remote.there()
    assert host.inside("left").read_text() == "0", "it was damaged"
    assert ran_at(result) == {"s": "mangler"}
    assert (remote.workspace / "s").read_bytes() == (remote.workspace / "in").read_bytes() + b"\n"


@pytest.mark.parametrize("way", ["in", "out"])
def test_a_host_that_damages_contents_is_left_out(remote: Remote, way: str) -> None:
    host = corrupting(remote, way, 1)
    script = (host.base / "corrupt.py").read_text()
    # Every byte at a multiple of 100,000: each time that something large passes.
    (host.base / "corrupt.py").write_text(
        script.replace(
            "if name == way and seen <= after < seen + len(data):", "if name == way and len(data) > 60000:"
        )
        .replace("cut = after - seen", "cut = len(data) // 2")
        .replace("if left > 0", "if True")
    )
    (second,) = remote.standing("h2")
    remote.client.trust(host, second)
    remote.hosts_text(remote.item(host, slots=1) + remote.item(second, slots=1, labels=["mangler"]))
    remote.write("in", os.urandom(3_000_000))
    remote.recipe(COPY.replace("    inputs", "    runs_on: mangler\n    inputs"))
    result = remote.there(*FAST)
    assert ran_at(result) == {"s": "h2"}
    assert (remote.workspace / "s").read_bytes() == (remote.workspace / "in").read_bytes() + b"\n"
    assert "left-out" in [status for status, _ in host_events(result, "mangler")]
    assert remote.records() == ["s"]


def test_contents_that_were_damaged_in_the_workdir(remote: Remote) -> None:
    """Between two runs a disk went bad: what the next run makes is right all the same."""
    host = remote.fresh("h")
    hosts(remote, host)
    remote.write("in", os.urandom(200_000))
    remote.recipe(COPY)
    remote.there()
    damage(host.workdir)
    remote.recipe(COPY.replace("echo", "echo again"))
    remote.there()
    assert (remote.workspace / "s").read_bytes() == (remote.workspace / "in").read_bytes() + b"again\n"


def damage(top: Path) -> None:
    """Flip a bit of every large file below ``top`` and leave its times as they were."""
    for place, _, names in os.walk(top):
        for name in names:
            path = Path(place, name)
            stat = path.stat()
            if stat.st_size >= 200_000:
                data = bytearray(path.read_bytes())
                data[len(data) // 2] ^= 1
                os.chmod(path, 0o600)
                path.write_bytes(data)
                os.chmod(path, stat.st_mode & 0o7777)
                os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
