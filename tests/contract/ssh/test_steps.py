"""A step on another machine: what it finds there, what comes back, what it is told."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.contract_tools import Traced, wait_for
from tests.support.f0 import F0
from tests.support.remote_tools import Remote, apart, host_events, ran_at
from tests.support.sshd.host import Host


@pytest.fixture
def h1(remote: Remote) -> Host:
    """A standing host, the only one of the hosts file."""
    (host,) = remote.standing("h1")
    remote.hosts(host, slots=2)
    return host


def step(run: str, more: str = "", name: str = "s", outputs: str = "out") -> str:
    """A recipe of one step."""
    lines = "".join(f"      {line}\n" for line in run.splitlines())
    return f"steps:\n  - name: {name}\n{more}    outputs: {outputs}\n    run: |\n{lines}"


# The host


@apart
def test_nothing_but_an_old_enough_python_and_a_shell(remote: Remote) -> None:
    try:
        host = remote.fresh("bare", python="3.9", bare=True, shell="/bin/sh")
    except LookupError as error:
        pytest.skip(str(error))
    remote.hosts(host)
    remote.write("mine/deep.py", "def twice(n: int) -> int:\n    return 2 * n\n")
    remote.write("mine/__init__.py", "")
    remote.write(
        "work.py",
        "import sys\nfrom mine.deep import twice\n\n\ndef go(n: int, out: str) -> None:\n"
        "    with open(out, 'w') as file:\n        file.write(f'{twice(n)} {sys.version_info[:2]}\\n')\n",
    )
    remote.recipe(
        "steps:\n  - name: py\n    module: work\n    function: go\n    args:\n      n: 21\n      out: ${{ outputs }}\n"
        "    outputs: py\n"
        "  - name: sh\n    inputs: py\n    outputs: sh\n    run: tr '\\n' '!' < py > sh\n"
    )
    result = remote.there()
    assert set(ran_at(result).values()) == {"bare"}
    assert remote.read("sh") == "42 (3, 9)!"


@apart
def test_nothing_is_written_outside_of_the_workdir(remote: Remote) -> None:
    host = remote.fresh("clean")
    remote.hosts(host)
    remote.write("in/a", "a")
    remote.recipe(
        step(
            "mktemp; cp -r in/. $TMPDIR; cat /proc/net/tcp /proc/net/tcp6 > out",
            "    inputs: in/\n",
        )
    )
    before = everything(host)
    remote.there()
    after = everything(host)
    assert {p for p in after - before if "/.cache/f0make" not in p} <= {"home/worker/.cache"}
    assert not before - after
    listening = [line.split()[1] for line in remote.read("out").splitlines() if line.split()[3:4] == ["0A"]]
    assert {address.rpartition(":")[2] for address in listening} == {"0016"}, "only sshd's port"
    assert host.logins == 1


def everything(host: Host) -> set[str]:
    """Every path of the host's own home directories and `/tmp`."""
    return {
        os.path.relpath(os.path.join(top, name), host.base)
        for place in ("home", "tmp")
        for top, directories, files in os.walk(host.base / place)
        for name in [*directories, *files]
    }


def test_one_connection_for_a_run(remote: Remote, h1: Host) -> None:
    remote.recipe(
        "steps:\n  - name: a\n    foreach:\n      n:\n        range: 1..20\n    outputs: a/${{ n }}\n"
        "    run: echo ${{ n }} > ${{ outputs }}\n"
        "  - name: b\n    inputs: ${{ steps.a.outputs }}\n    outputs: b\n    run: cat ${{ inputs }} | wc -l > b\n"
    )
    before = h1.visits
    remote.there()
    assert remote.read("b").strip() == "20"
    assert h1.visits == before + 1


@apart
def test_a_damaged_agent_is_noticed_and_replaced(remote: Remote) -> None:
    host = remote.fresh("h")
    remote.hosts(host)
    remote.recipe(step("echo 1 > out"))
    first = remote.there().summary["hosts"]["h"]
    remote.recipe(step("echo 2 > out"))
    second = remote.there().summary["hosts"]["h"]
    assert second["sent"] < first["sent"], "the agent goes there once"
    damaged = 0
    for top, _, names in os.walk(host.workdir):
        for name in names:
            path = Path(top, name)
            data = path.read_bytes()
            mode = path.stat().st_mode
            path.chmod(0o600)
            path.write_bytes(data[: len(data) // 2] + b"\xff\x00(" + data[len(data) // 2 + 3 :])
            path.chmod(mode)
            damaged += 1
    assert damaged
    remote.recipe(step("echo 3 > out"))
    remote.there()
    assert remote.read("out") == "3\n"


# What a step finds


def test_a_private_directory_with_the_declared_inputs_and_nothing_else(remote: Remote, h1: Host) -> None:
    for name in ("a/b/one", "a/b/two", "a/three", "secret", "d/x", "d/sub/y"):
        remote.write(name, name)
    more = "    inputs:\n      - a/b/one\n      - d/\n"
    remote.recipe(
        step(
            "find . ! -name . | sort > list.tmp; mv list.tmp res/out; pwd >> res/out", more, outputs="res/out"
        )
    )
    remote.there()
    *found, place = remote.read("res/out").splitlines()
    assert [f for f in found if f != "./list.tmp"] == [
        "./a", "./a/b", "./a/b/one", "./d", "./d/sub", "./d/sub/y", "./d/x", "./res",
    ]  # fmt: skip
    assert place.startswith(h1.layout.home), place
    assert not (h1.inside("").parent / place.lstrip("/")).exists()
    assert sorted(os.listdir(remote.workspace)) == [".f0make", "a", "d", "recipe.yaml", "res", "secret"]


def test_contents_travel_once_and_compressed(remote: Remote, h1: Host) -> None:
    remote.write("noise", os.urandom(1_500_000))
    remote.write("zeros", b"0" * 5_000_000)
    remote.recipe(
        "steps:\n  - name: s\n    foreach:\n      n:\n        range: 1..8\n    inputs:\n      - noise\n      - zeros\n"
        "    outputs: out/${{ n }}\n    run: (echo ${{ n }}; cat noise zeros | sha256sum) > ${{ outputs }}\n"
    )
    first = remote.there().summary["hosts"]["h1"]
    assert first["ran"] == 8
    assert 1_500_000 < first["sent"] < 2_000_000 and first["received"] < 200_000, first
    remote.recipe((remote.workspace / "recipe.yaml").read_text().replace("(echo", "(echo n"))
    again = remote.there().summary["hosts"]["h1"]
    assert again["ran"] == 8 and again["sent"] < 65536, again
    # The same contents under another name are the same contents.
    remote.write("other", (remote.workspace / "noise").read_bytes())
    remote.recipe(step("sha256sum < other > out", "    inputs: other\n"))
    assert remote.there().summary["hosts"]["h1"]["sent"] < 65536


def test_after_one_changed_input_of_200_little_is_sent(remote: Remote, h1: Host) -> None:
    for n in range(200):
        remote.write(f"in/{n}", os.urandom(3000))
    remote.recipe(
        "steps:\n  - name: s\n    foreach:\n      f:\n        glob: in/${{ f }}\n    inputs: in/${{ f }}\n"
        "    outputs: out/${{ f }}\n    run: sha256sum < ${{ inputs }} > ${{ outputs }}\n"
        "  - name: all\n    inputs: ${{ steps.s.outputs }}\n    outputs: all\n    run: cat ${{ inputs }} | sort > all\n"
    )
    assert remote.there().summary["ran"] == 201
    changed = os.urandom(50_000)
    remote.write("in/77", changed)
    result = remote.there()
    assert result.summary["ran"] == 2 and result.summary["current"] == 199
    assert len(changed) < result.summary["hosts"]["h1"]["sent"] <= len(changed) + 65536, result.summary


def test_the_bytes_that_are_told_are_those_that_went(remote: Remote) -> None:
    (host,) = remote.standing("h1")
    proxy = remote.proxy(host)
    remote.hosts(proxy)
    remote.write("in", os.urandom(400_000))
    remote.recipe(step("head -c 300000 /dev/urandom > out", "    inputs: in\n"))
    told = remote.there().summary["hosts"]["h1"]
    assert told["ran"] == 1
    assert 0.9 < told["sent"] / proxy.sent < 1.1, (told, proxy.sent)
    assert 0.9 < told["received"] / proxy.received < 1.1, (told, proxy.received)


NAMES = [
    "plain",
    "a b",
    "q'u\"o",
    "new\nline",
    "back\\slash",
    "-rf",
    "gr\u00fc\u00dfe \u6f22",
    "*?[x]",
    "$HOME `x`",
    "#c",
    " ",
]


def test_any_name_mode_link_and_empty_directory_survive(remote: Remote, h1: Host) -> None:
    top = remote.workspace / "d"
    for name in [*map(os.fsencode, NAMES), b"\xff\xfe raw", b"sub/\x80", b"sub/deep/x", b"sub/" + b"n" * 255]:
        path = os.path.join(os.fsencode(top), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(name)
    (top / "tool").write_text("#!/bin/sh\necho tool\n")
    (top / "tool").chmod(0o755)
    (top / "empty").mkdir()
    (top / "full").symlink_to("sub/deep")
    (top / "dangling").symlink_to("no where\n")
    (top / "up").symlink_to("../d/plain")
    remote.recipe(step("./d/tool > /dev/null; cp -a d copy", "    inputs: d/\n", outputs="copy/"))
    remote.there()
    assert tree(remote.workspace / "copy") == tree(top)
    assert tree(top)["empty"] == "dir" and tree(top)["tool"][0] == "x"
    shutil.rmtree(remote.workspace / "copy")
    assert remote.there().states == {"s": "restored"}
    assert tree(remote.workspace / "copy") == tree(top)


def tree(top: Path) -> dict[str, object]:
    """What lies below: path -> link, directory, or (executable, bytes)."""
    found: dict[str, object] = {}
    for place, directories, files in os.walk(top):
        for name in [*directories, *files]:
            path = Path(place, name)
            key = str(path.relative_to(top))
            if path.is_symlink():
                found[key] = "->" + os.readlink(path)
            elif path.is_dir():
                found[key] = "dir"
            else:
                found[key] = ("x" if path.stat().st_mode & 0o100 else "", path.read_bytes())
    return found


def test_links_that_are_inputs_themselves(remote: Remote, h1: Host) -> None:
    remote.write("data/v1", "one\n")
    (remote.workspace / "current").symlink_to("data/v1")
    remote.write("tool", "#!/bin/sh\ncat current\n", 0o755)
    remote.recipe(step("./tool > out", "    inputs:\n      - current\n      - tool\n"))
    remote.there()
    assert remote.read("out") == "one\n"
    remote.write("data/v1", "uno\n")
    remote.there()
    assert remote.read("out") == "uno\n"


def test_the_environment(remote: Remote, h1: Host) -> None:
    remote.recipe(
        "env:\n  DECLARED: yes it is\n"
        + step(
            "[ -d $TMPDIR ] && [ -w $TMPDIR ] && touch $TMPDIR/x\nenv -0 | sort -z | tr '\\n\\0' '?\\n' > out"
        )
    )
    remote.there(env={"UNDECLARED": "here", "LC_ALL": "C.UTF-8", "DISPLAY": ":7"})
    found = dict(line.split("=", 1) for line in remote.read("out").splitlines())
    shells_own = {"PWD", "OLDPWD", "SHLVL", "_"}
    mine = {name: value for name, value in found.items() if not name.startswith("F0MAKE_")}
    assert set(mine) - shells_own == {"DECLARED", "PATH", "HOME", "USER", "TMPDIR"}, found
    assert mine["DECLARED"] == "yes it is" and mine["USER"] == h1.user and mine["HOME"] == h1.layout.home
    assert mine["PATH"] == h1.path, "the host's"
    temporary = mine["TMPDIR"]
    assert temporary.startswith(h1.layout.home) and temporary != mine["PWD"]
    assert not h1.inside(os.path.relpath(temporary, h1.layout.home)).exists(), "removed"


def test_what_one_host_made_is_current_for_another_and_here(remote: Remote, h1: Host) -> None:
    remote.recipe(step("echo made > out"))
    assert ran_at(remote.there()) == {"s": "h1"}
    (h2,) = remote.standing("h2")
    remote.hosts(h2)
    before = h2.visits
    assert remote.there().states == {"s": "current"} and h2.visits == before
    assert remote.run().states == {"s": "current"}


# Outputs


def test_outputs_are_here_and_in_the_cache_when_the_run_ends(remote: Remote, h1: Host) -> None:
    remote.recipe(
        "steps:\n  - name: a\n    outputs:\n      - a\n      - path: t\n        temp: yes\n    run: echo a | tee a > t\n"
        "  - name: b\n    inputs:\n      - a\n      - t\n    outputs:\n      - b/c\n      - e/\n"
        "    run: cat a t > b/c; mkdir -p e/f; cp a e/f/g; echo stray > stray\n"
    )
    result = remote.there()
    assert result.summary["ran"] == 2
    assert remote.read("b/c") == "a\na\n" and remote.read("a") == "a\n" and remote.read("e/f/g") == "a\n"
    assert not remote.exists("t") and not remote.exists("stray")
    for name in ("b", "e"):
        shutil.rmtree(remote.workspace / name)
    before = h1.visits
    assert remote.there().states == {"a": "current", "b": "restored"}
    assert remote.read("b/c") == "a\na\n" and remote.read("e/f/g") == "a\n" and h1.visits == before


def test_outputs_between_hosts(remote: Remote) -> None:
    a, b = remote.standing("h1", "h2")
    remote.hosts(a, b)
    remote.recipe(
        "steps:\n  - name: one\n    runs_on: h1\n    outputs: one\n    run: head -c 300000 /dev/urandom > one\n"
        "  - name: two\n    runs_on: h2\n    inputs: one\n    outputs: two\n    run: sha256sum < one > two\n"
        "  - name: three\n    runs_on: local\n    inputs:\n      - one\n      - two\n    outputs: three\n"
        "    run: sha256sum < one | cmp - two > three\n"
    )
    at = ran_at(remote.there(jobs=1))
    assert at["one"] == "h1" and at["two"] == "h2"


FAILING = {
    "nothing": ("true", "", "out/nothing"),
    "empty": (": > out/empty", "    success:\n      not_empty: yes\n", "empty"),
    "exit": ("echo half > out/exit; exit 7", "", "7"),
    "signal": ("echo half > out/signal; kill -SEGV $$", "", "SIGSEGV"),
    "late": ("echo half > out/late; sleep 60", "    timeout: 300ms\n", "0.3"),
    "lacking": ("echo half > out/lacking; no-such-program", "", "127"),
}
"""Step -> what it does, more of its keys, and a word of why it has failed."""


def test_a_step_fails_by_itself(remote: Remote, h1: Host) -> None:
    steps = [
        step(run, more, name, f"out/{name}").removeprefix("steps:\n")
        for name, (run, more, _) in FAILING.items()
    ]
    remote.recipe("steps:\n" + "".join(steps))
    result = remote.there("-k", code=1)
    assert result.states == dict.fromkeys(FAILING, "failed")
    assert ran_at(result) == dict.fromkeys(FAILING, "h1")
    assert all(word in result.reasons[name] for name, (_, _, word) in FAILING.items()), result.reasons
    assert not os.listdir(remote.workspace / "out"), "nothing of it is in the workspace"


def test_what_a_failed_step_left_is_put_aside_here(remote: Remote, h1: Host) -> None:
    remote.recipe(
        "steps:\n  - name: s\n    outputs:\n      - out/a\n      - out/tree/\n      - never\n    run: |\n"
        "      head -c 300000 /dev/zero > out/a; mkdir -p out/tree/empty; echo half > out/tree/x; chmod +x out/tree/x\n"
        "      ln -s x out/tree/link; exit 3\n"
    )
    result = remote.there(code=1)
    assert result.states == {"s": "failed"}
    assert not (remote.workspace / "out/a").exists() and not (remote.workspace / "out/tree").exists()
    (left,) = (remote.workspace / ".f0make/failed").iterdir()
    assert (left / "out/a").read_bytes() == bytes(300_000)
    tree = left / "out/tree"
    assert (tree / "x").read_text() == "half\n" and os.access(tree / "x", os.X_OK)
    assert (tree / "link").readlink() == Path("x") and (tree / "empty").is_dir()
    assert not (left / "never").exists()
    assert not list((remote.workspace / ".f0make").glob("cache/cas/*/*")), "it is no result"


def test_logs_come_back(remote: Remote, h1: Host) -> None:
    remote.recipe(
        step("echo to stdout; echo to stderr >&2; printf 'raw \\377 bytes\\n'; echo x > out; false")
    )
    result = remote.there(code=1)
    for said in (result.stderr, remote("log", "s").stdout):
        assert "to stdout" in said and "to stderr" in said, said
    assert "raw" in remote("log", "s").stdout


def test_retries_attempts_and_exit_codes(remote: Remote, h1: Host) -> None:
    more = "    retries: 2\n    success:\n      exit_codes:\n        - 3\n"
    remote.recipe(step("echo ${{ attempt }} > out; [ ${{ attempt }} = 3 ] && exit 3 || exit 1", more))
    assert remote.there().summary["ran"] == 1
    assert remote.read("out") == "3\n"


def test_a_script_a_shell_and_a_long_command(remote: Remote, h1: Host) -> None:
    long = "x" * 300_000
    remote.recipe(
        "steps:\n  - name: script\n    outputs: script\n    run: |\n      #!/usr/bin/env python3\n"
        "      import sys\n      open('script', 'w').write(sys.version)\n"
        "  - name: shell\n    shell: sh -e\n    outputs: shell\n    run: echo ${0##*/} > shell; ps -o comm= $$ >> shell\n"
        f"  - name: long\n    outputs: long\n    run: echo {long} > long\n"
    )
    remote.there()
    assert remote.read("script").startswith("3.")
    assert "sh" in remote.read("shell").split()
    assert remote.read("long") == long + "\n"


def test_time_and_memory_are_measured_there(remote: Remote, h1: Host) -> None:
    code = "import time\nx = bytearray(80_000_000)\nend = time.process_time() + 0.4\nwhile time.process_time() < end: pass"
    indented = code.replace("\n", "\n      ")
    remote.recipe(
        "steps:\n  - name: s\n    outputs: out\n    run: |\n      #!/usr/bin/env python3\n"
        f"      {indented}\n      open('out', 'w').write('x')\n"
    )
    (event,) = [e for e in remote.there().events if e["event"] == "step"]
    assert event["cpu_seconds"] > 0.35 and event["peak_mem"] > 80_000_000 and event["seconds"] > 0.35, event


def test_a_depfile(remote: Remote, h1: Host) -> None:
    remote.write("inc/used.h", "1")
    remote.write("inc/other.h", "1")
    more = "    inputs:\n      - inc/\n    depfile: out.d\n"
    remote.recipe(step("echo 'out: inc/used.h' > out.d; cat inc/used.h > out", more))
    remote.there()
    assert not remote.exists("out.d")
    remote.write("inc/used.h", "2")
    remote.there()
    assert remote.read("out") == "2"


def test_an_input_that_changes_meanwhile(remote: Remote, h1: Host) -> None:
    remote.write("in", "1")
    flag = f"{h1.layout.home}/flag{remote.number}"
    remote.recipe(step(f"touch {flag}; sleep 1; cat in > out", "    inputs: in\n"))
    process = remote.start("run", "recipe.yaml", "--hosts", str(remote.file), "-j0", "--json")
    wait_for(lambda: h1.inside(flag).exists() or process.poll() is not None)
    remote.write("in", "2")
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, (out, err)
    assert remote.read("out") == "2"
    assert remote.there().states == {"s": "current"}


# Python steps


CONTEXT = """\
from f0make.context import Context
from scriptlets.core.base import BaseScriptlet

from helpers.words import shout


class Say(BaseScriptlet):
    class Params:
        text: str

    def run(self, ctx: Context, params: dict) -> int:
        ctx.set("said", shout(params["text"]), who="say")
        print("saying", ctx.step.name, ctx.step.attempt)
        return 0


def hear(ctx: Context) -> int:
    with open(ctx.step.outputs[0], "w") as file:
        file.write(ctx.get("said"))
    return 0


def third_party() -> None:
    import numpy_of_the_host
"""


def test_python_steps_share_the_context_across_hosts(remote: Remote) -> None:
    a, b = remote.standing("h1", "h2")
    remote.hosts(a, b)
    remote.write("helpers/words.py", "def shout(text):\n    return text.upper()\n")
    remote.write("talk.py", CONTEXT)
    remote.recipe(
        "steps:\n  - name: say\n    runs_on: h1\n    module: talk\n    function: Say\n    args:\n      text: hello\n"
        "  - name: hear\n    runs_on: h2\n    depends_on: say\n    module: talk\n    function: hear\n    outputs: heard\n"
    )
    result = remote.there()
    assert ran_at(result) == {"say": "h1", "hear": "h2"}
    assert remote.read("heard") == "HELLO"
    assert "saying say 1" in remote("log", "say").stdout
    history = remote("context").stdout
    assert "said" in history and "HELLO" in history, history
    assert remote.there().summary["current"] == 2
    remote.write("helpers/words.py", "def shout(text):\n    return text.upper() + '!'\n")
    remote.there()
    assert remote.read("heard") == "HELLO!"


def test_a_module_that_the_host_lacks(remote: Remote, h1: Host) -> None:
    remote.write("helpers/words.py", "def shout(text):\n    return text.upper()\n")
    remote.write("talk.py", CONTEXT)
    remote.recipe("steps:\n  - name: s\n    module: talk\n    function: third_party\n    outputs: out\n")
    result = remote.there(code=1)
    assert "numpy_of_the_host" in result.reasons["s"] and "h1" in result.reasons["s"], result.reasons


def test_a_python_step_that_raises(remote: Remote, h1: Host) -> None:
    remote.write("bad.py", "def go():\n    raise ValueError('what a pity')\n")
    remote.recipe("steps:\n  - name: s\n    module: bad\n    function: go\n    outputs: out\n")
    result = remote.there(code=1)
    assert "what a pity" in result.reasons["s"] + remote("log", "s").stdout
    assert "bad.py" in remote("log", "s").stdout


# Events


def test_events_and_summary(remote: Remote) -> None:
    a, b = remote.standing("h1", "h2")
    remote.hosts(a, b)
    remote.recipe(
        "steps:\n  - name: s\n    runs_on: h1\n    outputs: s\n    run: echo > s\n"
        "  - name: t\n    runs_on: h2\n    outputs: t\n    run: echo > t\n"
        "  - name: u\n    runs_on: local\n    outputs: u\n    run: echo > u\n"
    )
    result = remote.there(jobs=1)
    assert [status for status, _ in host_events(result, "h1")] == ["up"]
    assert [status for status, _ in host_events(result, "h2")] == ["up"]
    hosts = result.summary["hosts"]
    assert hosts["h1"]["ran"] == 1 and hosts["h2"]["ran"] == 1
    assert all(set(told) >= {"ran", "sent", "received"} for told in hosts.values())
    assert all(hosts[name]["sent"] > 0 and hosts[name]["received"] > 0 for name in ("h1", "h2"))
    at = ran_at(result)
    assert at == {"s": "h1", "t": "h2", "u": "local"}
    again = remote.there(jobs=1)
    assert not ran_at(again), "what is current ran nowhere"


def test_people_are_told_where_a_step_ran(remote: Remote, h1: Host) -> None:
    remote.recipe(step("echo > out"))
    result = remote("run", "recipe.yaml", "--hosts", str(remote.file), "-j0")
    assert result.code == 0 and re.search(r"\bh1\b", result.stderr), result.stderr


def test_a_local_run_says_nothing_of_hosts(f0: F0) -> None:
    f0.recipe(step("echo > out"))
    result = f0.run()
    assert "hosts" not in result.summary and not host_events(result)


# What a host makes is, in a shared cache, for machines like the host.

PLATFORMS = """\
python: /usr/bin/python3
steps:
  - name: shell
    outputs: a.txt
    run: uname -m > a.txt
  - name: python
    module: mod
    function: main
    outputs: b.txt
  - name: fresh
    secrets: TOKEN
    module: mod
    function: fresh
    outputs: d.txt
  - name: anywhere
    any_platform: yes
    outputs: c.txt
    run: uname -m > c.txt
secrets: TOKEN
"""
OTHER = {"x86_64": "i686", "aarch64": "armv8l"}.get(os.uname().machine, "")
"""The machine as which the kernel shows itself to programs of 32 bits."""


def as_other() -> bool:
    """Whether `setarch` can start programs that see another machine."""
    if not OTHER or shutil.which("setarch") is None:
        return False
    done = subprocess.run(["setarch", OTHER, "uname", "-m"], capture_output=True, text=True, check=False)
    return done.stdout.strip() == OTHER


@apart
@pytest.mark.skipif(not as_other(), reason="no other machine can be shown to a program")
def test_what_a_host_makes_is_for_machines_like_the_host(remote: Remote, tmp_path: Path) -> None:
    host = remote.fresh("other", sshd=f'ForceCommand exec setarch {OTHER} sh -c "$SSH_ORIGINAL_COMMAND"')
    remote.hosts(host)
    cache, env = ("--cache", str(tmp_path / "cache")), {"TOKEN": "token-1"}

    def fill(place: Traced) -> None:
        place.recipe(PLATFORMS)
        place.write("mod.py", "def main():\n    open('b.txt', 'w').write('b')\n\n\n" + FRESH)

    fill(Traced(remote.workspace))
    result = remote.there(*cache, env=env)
    assert set(ran_at(result).values()) == {"other"} and remote.read("a.txt").strip() == OTHER
    states = {}
    for name, prefix in (("same", []), ("like", ["setarch", OTHER])):
        place = Traced(tmp_path / name)
        place.workspace.mkdir()
        place.prefix = prefix
        fill(place)
        states[name] = place.run(*cache, env={**env, "HOME": str(remote.client.home)}).states
    ran = dict.fromkeys(("shell", "python", "fresh"), "ran")
    assert states["same"] == {**ran, "anywhere": "restored"}
    assert set(states["like"].values()) == {"restored"}


FRESH = "def fresh():\n    open('d.txt', 'w').write('d')\n"


# Secrets


SECRET_RECIPE = """\
secrets: TOKEN
steps:
  - name: use
    secrets: TOKEN
    outputs: used
    run: |
      echo "it is $TOKEN, $(printf %s "$TOKEN" | base64)"
      cat /proc/[0-9]*/cmdline > shown 2>/dev/null || true
      if grep -q "$TOKEN" shown; then echo shown > used; else printf %s "$TOKEN" | sha256sum > used; fi
  - name: python
    secrets: TOKEN
    module: mod
    function: main
    outputs: py
  - name: bad
    secrets: TOKEN
    depends_on:
      - use
      - python
    run: 'echo "no $TOKEN" >&2; exit 3'
  - name: other
    depends_on:
      - use
      - python
    outputs: other
    run: |
      cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline > all 2>/dev/null || true
      if grep -q hush[-] all; then echo seen > other; else echo "${TOKEN-none}" > other; fi
"""
SECRET = "hush-31f7-e0"


@apart
def test_a_secret_reaches_its_step_on_a_host_and_nothing_else(remote: Remote) -> None:
    host = remote.fresh("keeper")
    remote.hosts(host, slots=1)
    remote.recipe(SECRET_RECIPE)
    remote.write(
        "mod.py",
        "import hashlib, os\n\n\ndef main():\n    print('printed', os.environ['TOKEN'])\n"
        "    with open('py', 'w') as file:\n"
        "        file.write(hashlib.sha256(os.environ['TOKEN'].encode()).hexdigest())\n",
    )
    result = remote.there("-k", "-v", code=1, env={"TOKEN": SECRET})
    assert ran_at(result) == dict.fromkeys(("use", "python", "bad", "other"), "keeper")
    want = hashlib.sha256(SECRET.encode()).hexdigest()
    assert remote.read("used").split()[0] == remote.read("py") == want
    assert remote.read("other") == "none\n"
    assert "it is ***, ***" in remote("log", "use").stdout and "printed ***" in remote("log", "python").stdout
    state = b"".join(p.read_bytes() for p in (remote.workspace / ".f0make").rglob("*") if p.is_file())
    assert SECRET not in result.stdout + result.stderr and SECRET.encode() not in state
    # Nowhere on the host, whatever it keeps for the next run.
    assert not remote.inside_any(host, SECRET)
    # And the key is the one that it has here.
    again = ("--only", "use", "--only", "python", "--only", "other", "-j1")
    assert set(remote.run(*again, env={"TOKEN": SECRET}).states.values()) == {"current"}
    changed = remote.run(*again, env={"TOKEN": "another-88"}).states
    assert changed == {"use": "ran", "python": "ran", "other": "current"}
