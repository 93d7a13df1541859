"""`--strict` and `--audit`: real steps, a real kernel; who touches what the recipe does not declare is named."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from f0make.backends.local.guard_probe import obstacle
from tests.support.contract_tools import wait_for
from tests.support.f0 import F0, command, interrupt
from tests.support.paths import PROJECT

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux only")


@pytest.fixture
def world(f0: F0) -> F0:
    """A workspace with an input, a file that nobody declares, and a file outside."""
    f0.write("in.txt", "input\n")
    f0.write("secret.txt", "secret\n")
    f0.write("../outside.txt", "outside\n")
    f0.write("../home/.keep", "")
    return f0


def home(f0: F0) -> dict[str, str]:
    """An environment in which nothing of the tester's own configuration is read."""
    return {"HOME": str(f0.workspace.parent / "home")}


def step(run: str, outputs: str = "out.txt", **more: str) -> str:
    """A recipe of one shell step."""
    lines = ["steps:", "  - name: it", "    inputs: in.txt", f"    outputs: {outputs}"]
    lines += [f"    {key}: {value}" for key, value in more.items()]
    lines += ["    run: |", *(f"      {line}" for line in run.splitlines())]
    return "\n".join(lines) + "\n"


def test_this_kernel_can_watch() -> None:
    assert obstacle() is None


INNOCENT = {
    "shell": "sort in.txt | tee out.txt > /dev/null; ls -l . > /dev/null; cat nothing* 2> /dev/null || true",
    "temporary": 'mktemp > out.txt; echo x > "$TMPDIR/y"; mkdir "$TMPDIR/d"; mv "$TMPDIR/y" "$TMPDIR/d/"; cat in.txt >> out.txt',
    "python": "python3 - <<'END'\nimport json, tempfile, sqlite3, multiprocessing as m\n"
    "with tempfile.NamedTemporaryFile() as f, m.Pool(2) as p:\n    open('out.txt', 'w').write(str(p.map(abs, [-1])))\nEND",
    "script": "#!/usr/bin/env python3\nopen('out.txt', 'w').write(open('in.txt').read())",
    "devices": "exec 3< in.txt; cat /dev/fd/3 /dev/stdin < /dev/null > out.txt; : > /proc/self/comm",
    "absent": "rm -f no.tmp; mkdir -p .; test ! -e no; cp in.txt out.txt; chmod 600 out.txt; touch out.txt; mv out.txt out.txt 2>/dev/null || true",
    "link": "rm -f out.txt; ln -s in.txt out.txt; cat out.txt",
}


@pytest.mark.parametrize("name", INNOCENT)
def test_what_keeps_to_its_files_does_not_notice(world: F0, name: str) -> None:
    world.recipe(step(INNOCENT[name]))
    found = world.run("--strict", env=home(world))
    assert found.states == {"it": "ran"}, found.stderr
    assert not os.listdir(world.workspace / ".f0make" / "run")


def test_an_output_directory_is_the_steps_own(world: F0) -> None:
    text = "mkdir -p d/a/b; cp in.txt d/a/b/c; mv d/a/b/c d/x; rm -r d/a; ln -s x d/l; ln d/x d/y; chmod 600 d/x; truncate -s 1 d/y"
    world.recipe(step(text, "d/"))
    assert world.run("--strict", env=home(world)).states == {"it": "ran"}


def py(code: str) -> str:
    """A python program as one line of shell text, of which the step takes no notice."""
    code = "import ctypes, os, sys\nL = ctypes.CDLL(None, use_errno=True)\n" + code
    return f'out=$(python3 -c {shlex.quote("exec(" + repr(code) + ")")} 2> /dev/null) || true; echo "$out" > out.txt'


READS = {
    "at once": ("cat secret.txt > out.txt", "secret.txt"),
    "swallowed": ("cat secret.txt > out.txt 2> /dev/null || true; : > out.txt", "secret.txt"),
    "by a grandchild": ("bash -c 'bash -c \"cat secret.txt; true\"' > out.txt", "secret.txt"),
    "from elsewhere": ("cat ../outside.txt > out.txt || true", "outside.txt"),
    "by an odd path": ("cd /proc/self/cwd; cat ./../*/secret.txt > $OLDPWD/out.txt || true", "secret.txt"),
    "through a link": (
        "d=${TMPDIR:-$(mktemp -d)}; ln -sf $PWD/secret.txt $d/l; cat $d/l > out.txt || true",
        "secret.txt",
    ),
    "by running it": ("./tool.sh > out.txt || true; touch out.txt", "tool.sh"),
    "by linking it": ("ln secret.txt out.txt || true; touch out.txt", "secret.txt"),
    "by a descriptor for nothing": (
        py("fd = os.open('secret.txt', os.O_PATH); print(open(f'/dev/fd/{fd}').read())"),
        "secret.txt",
    ),
    "by /proc/self from elsewhere": (
        py(
            "os.chdir('/proc/self/cwd/..'); os.chdir('workspace'); import tempfile; d = tempfile.mkdtemp()\n"
            "os.symlink('/proc/self/cwd', d + '/l'); print(open(d + '/l/secret.txt').read())"
        ),
        "secret.txt",
    ),
    "by running a descriptor": (
        py("fd = os.open('tool.sh', os.O_PATH); os.execve(fd, ['x'], os.environ)"),
        "tool.sh",
    ),
    "by linking a descriptor": (
        py("fd = os.open('secret.txt', os.O_PATH); L.linkat(fd, b'', -100, b'out.txt', 0x1000)"),
        "secret.txt",
    ),
    "by a thread": (
        "python3 -c \"import threading as t; x = t.Thread(target=lambda: open('secret.txt')); x.start(); x.join()\"; touch out.txt",
        "secret.txt",
    ),
}


@pytest.mark.parametrize("how", READS)
def test_a_read_that_is_not_declared_fails_and_is_named(world: F0, how: str) -> None:
    text, named = READS[how]
    world.write("tool.sh", "#!/bin/sh\necho ran\n", 0o755)
    world.recipe(step(text))
    found = world.run("--strict", code=1, env=home(world))
    assert found.states == {"it": "failed"}
    assert named in found.reasons["it"] and "not among its inputs" in found.reasons["it"]
    out = world.workspace / "out.txt"
    assert not out.exists() and "secret" not in "".join(
        p.read_text() for p in (world.workspace / ".f0make" / "failed").rglob("out.txt")
    )
    # Nothing was recorded: without the option it runs.
    assert world.run(env=home(world)).states == {"it": "ran"}


WRITES = {
    "a new file": ("echo > side.txt || true", "side.txt"),
    "an input": ("echo more >> in.txt || true", "in.txt"),
    "removing": ("rm secret.txt || true", "secret.txt"),
    "renaming": ("mv secret.txt out.txt || true", "secret.txt"),
    "beside it": ("cp in.txt out.txt.tmp && mv out.txt.tmp out.txt || true", "out.txt.tmp"),
    "a directory": ("mkdir sub || true", "sub"),
    "a link": ("ln -s in.txt link || true", "link"),
    "its mode": ("chmod 600 secret.txt || true", "secret.txt"),
    "its time": ("touch secret.txt || true", "secret.txt"),
    "elsewhere": ("echo > ../elsewhere.txt || true", "elsewhere.txt"),
    "its mode by a descriptor": (py("os.fchmod(os.open('in.txt', os.O_RDONLY), 0o600)"), "in.txt"),
    "its owner by an empty path": (
        py("fd = os.open('secret.txt', os.O_PATH); L.fchownat(fd, b'', os.getuid(), os.getgid(), 0x1000)"),
        "secret.txt",
    ),
    "its attributes": (py("os.setxattr('in.txt', 'user.x', b'1')"), "in.txt"),
    "its attributes by a descriptor": (py("os.setxattr(os.open('in.txt', 0), 'user.x', b'1')"), "in.txt"),
    "memory": (py("open('/proc/self/mem', 'r+b').write(b'x')"), "/mem"),
    "by a daemon": ("setsid sh -c 'echo > side.txt' || true; sleep 0.1", "side.txt"),
}


@pytest.mark.parametrize("how", WRITES)
def test_a_write_that_is_not_declared_fails_and_is_named(world: F0, how: str) -> None:
    text, named = WRITES[how]
    world.recipe(step(f"{text}\ntouch out.txt"))
    before = {p.name: p.read_bytes() for p in world.workspace.glob("*.txt")}
    found = world.run("--strict", code=1, env=home(world))
    assert named in found.reasons["it"] and "not among its outputs" in found.reasons["it"]
    assert {p.name: p.read_bytes() for p in world.workspace.glob("*.txt")} == before
    assert not {"side.txt", "sub", "link"} & set(os.listdir(world.workspace))
    assert not world.exists("../elsewhere.txt")


ALLOW = """\
steps:
  - name: it
    inputs: in.txt
    outputs: out.txt
    allow:
      read:
        - ~/.tool/
        - ../outside.txt
      write: $HOME/.cache/tool
    run: |
      cat in.txt ~/.tool/deep/conf ../outside.txt > out.txt
      mkdir -p ~/.cache/tool/d; echo > ~/.cache/tool/d/x
"""


def test_what_a_step_allows_is_permitted_beside(world: F0) -> None:
    world.write("../home/.tool/deep/conf", "conf\n")
    world.write("../home/.cache/.keep", "")
    world.recipe(ALLOW)
    assert world.run("--strict", env=home(world)).states == {"it": "ran"}
    assert world.read("out.txt") == "input\nconf\noutside\n"
    world.recipe(ALLOW.replace("        - ../outside.txt\n", ""))
    assert world.run("--strict", env=home(world)).states == {"it": "current"}, "part of no key"
    found = world.run("--strict", "--force", "it", env=home(world), code=1)
    assert "outside.txt" in found.reasons["it"] and "conf" not in found.reasons["it"]
    world.recipe(ALLOW.replace("write: $HOME/.cache/tool", "write: $HOME/.tool").replace("- ~/.tool/", "- x"))
    found = world.run("--strict", "--force", "it", env=home(world), code=1)
    assert ".cache/tool" in found.reasons["it"]
    world.recipe(ALLOW.replace("write:", "rite:"))
    assert "write" in world("validate", "recipe.yaml").stderr


DETOURS = {
    "chroot": "L.chroot(b'.')",
    "mount": "L.mount(b'/', b'.', None, 4096, None)",
    "pivot_root": "L.syscall(155 if os.uname().machine == 'x86_64' else 41, b'.', b'.')",
    "open_tree": "L.syscall(428, -100, b'secret.txt', 1)",
    "open_by_handle_at": "L.name_to_handle_at(-100, b'secret.txt', b' ' * 200, b' ' * 8, 0)",
    "ptrace": "L.ptrace(16, os.getppid(), 0, 0)",
    "process_vm_writev": "L.process_vm_writev(os.getppid(), None, 0, None, 0, 0)",
    "io_uring": "L.syscall(425, 8, b' ' * 200)",
}


def test_calls_that_lead_around_it_are_not_there(world: F0) -> None:
    code = "".join(
        f"r = {call}; print({name!r}, r, ctypes.get_errno() == 38, file=f)\n"
        for name, call in DETOURS.items()
    )
    world.write(
        "in.txt",
        f"import ctypes, os\nL = ctypes.CDLL(None, use_errno=True)\nf = open('out.txt', 'w')\n{code}",
    )
    world.recipe(step("python3 in.txt"))
    world.run("--strict", env=home(world))
    assert world.read("out.txt") == "".join(f"{name} -1 True\n" for name in DETOURS)


def test_audit_lists_and_forbids_nothing(world: F0) -> None:
    world.recipe(step("cat secret.txt ../outside.txt > out.txt; echo > side.txt"))
    found = world.run("--audit", env=home(world))
    event = next(e for e in found.events if e["event"] == "step")
    outside = str((world.workspace.parent / "outside.txt").resolve())
    assert sorted(event["undeclared_reads"]) == sorted([outside, "secret.txt"])
    assert event["undeclared_writes"] == ["side.txt"]
    assert "secret.txt" in found.stderr and "side.txt" in found.stderr
    assert world.read("out.txt") == "secret\noutside\n" and world.exists("side.txt")
    # The result counts, and where nothing runs nothing is watched.
    assert world.run("--audit", env=home(world)).states == {"it": "current"}
    assert world.run("--strict", env=home(world)).states == {"it": "current"}


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_what_a_depfile_names_is_declared(world: F0) -> None:
    world.write("a.c", '#include "h.h"\nint main(void) { return H; }\n')
    world.write("h.h", "#define H 0\n")
    compiled = "gcc -MMD -MF a.d -MT a.o -c a.c -o a.o"
    text = step(compiled, "a.o", depfile="a.d").replace("in.txt", "a.c")
    world.recipe(text)
    assert world.run("--strict", env=home(world)).states == {"it": "ran"}
    world.recipe(text.replace(compiled, f"{compiled}; cat secret.txt > /dev/null"))
    found = world.run("--strict", code=1, env=home(world))
    assert "secret.txt" in found.reasons["it"] and "h.h" not in found.reasons["it"]


PYTHON = """\
steps:
  - name: it
    inputs: in.txt
    outputs: out.txt
    module: tools.mod
    function: {function}
    retries: 0
"""
MODULE = """\
import os, subprocess, time
from tools.helper import NAME

def good(ctx=None):
    open(NAME, "w").write(open("in.txt").read())
    ctx.set("seen", 1)

def bad():
    open(NAME, "w").write(open("secret.txt").read())

def below():
    subprocess.run("cat secret.txt > out.txt", shell=True)

def dies():
    os.kill(os.getpid(), 9)

def raises():
    raise ValueError("no")

def sleeps():
    open("out.txt", "w")
    time.sleep(60)
"""


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("good", None),
        ("bad", "secret.txt"),
        ("below", "secret.txt"),
        ("dies", "SIGKILL"),
        ("raises", "ValueError: no"),
    ],
)
def test_python_steps(world: F0, function: str, said: str | None) -> None:
    world.write("tools/mod.py", MODULE)
    world.write("tools/helper.py", 'NAME = "out.txt"\n')
    world.recipe(PYTHON.format(function=function))
    found = world.run("--strict", code=1 if said else 0, env=home(world))
    if said:
        assert said in found.reasons["it"]
    else:
        assert found.states == {"it": "ran"}, found.stderr
        assert '"seen"' in world("context", "--json").stdout


@pytest.mark.parametrize("kind", ["shell", "python"])
def test_ctrl_c_ends_a_watched_step(world: F0, kind: str) -> None:
    world.write("tools/mod.py", MODULE)
    world.write("tools/helper.py", 'NAME = "out.txt"\n')
    world.recipe(step("touch out.txt; sleep 60") if kind == "shell" else PYTHON.format(function="sleeps"))
    process = world.start("run", "recipe.yaml", "--strict")
    wait_for(lambda: world.exists("out.txt"))
    began = time.monotonic()
    assert interrupt(process).code == 130 and time.monotonic() - began < 10
    assert not world.exists("out.txt")


def test_a_time_limit_ends_a_watched_step(world: F0) -> None:
    world.recipe(step("sleep 60 & sleep 60", timeout="1s"))
    assert "timed out" in world.run("--strict", code=1, env=home(world)).reasons["it"]


def test_where_the_kernel_cannot_watch_it_is_refused(world: F0) -> None:
    """f0make itself under a filter that takes seccomp(2) away, as in many a container."""
    world.recipe(step("cp in.txt out.txt"))
    code = (
        "import ctypes, errno, os, struct, sys\n"
        "from f0make.worker.guard.seccomp import _Program, machine\n"
        "bpf = b''.join(struct.pack('=HBBI', *line) for line in ((0x20, 0, 0, 0), (0x15, 0, 1, machine().seccomp),\n"
        "    (6, 0, 0, 0x50000 | errno.EPERM), (6, 0, 0, 0x7fff0000)))\n"
        "libc = ctypes.CDLL(None)\n"
        "libc.prctl(38, 1, 0, 0, 0)\n"
        "assert libc.syscall(machine().seccomp, 1, 0, ctypes.byref(_Program(4, bpf))) == 0\n"
        "os.execv(sys.argv[1], sys.argv[1:])\n"
    )
    for option in ("--strict", "--audit"):
        done = subprocess.run(
            [sys.executable, "-c", code, *command(), "run", "recipe.yaml", option],
            cwd=world.workspace,
            env=world.environment(home(world)),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
        assert option in done.stderr and "seccomp" in done.stderr
    assert not world.exists("out.txt")
    assert world("run", "recipe.yaml", "--strict", "--audit").code == 2


def test_who_does_not_ask_does_not_pay() -> None:
    code = "import sys, f0make.executor, f0make.engine.run, f0make.worker.runner\nprint([m for m in sys.modules if 'guard' in m])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_paths_of_this_repository_are_tools_only_outside_of_the_workspace(world: F0, tmp_path: Path) -> None:
    """A virtual environment in the workspace is a tool; the workspace is none for being on PYTHONPATH."""
    world.write(".venv/bin/tool", "#!/bin/sh\ncat .venv/share/data\n", 0o755)
    world.write(".venv/share/data", "data\n")
    world.recipe(step("tool > out.txt; cat secret.txt || true"))
    path = f"{world.workspace}/.venv/bin:{os.environ['PATH']}"
    found = world.run(
        "--audit",
        env={**home(world), "PATH": path, "PYTHONPATH": f"{world.workspace}:{PROJECT}"},
    )
    event = next(e for e in found.events if e["event"] == "step")
    assert event["undeclared_reads"] == ["secret.txt"]
