"""`--strict` below and beside the calls that it judges: Landlock, races, links that are followed, sockets."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from f0make.worker.guard import landlock
from f0make.worker.guard.access_rules import Rules, trees
from tests.contract.worker.test_guard import home, py, step
from tests.support.f0 import F0

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux only")
walled = pytest.mark.skipif(
    not sys.platform.startswith("linux") or landlock.version() < 3, reason="needs Landlock of Linux 6.2"
)


@pytest.fixture
def world(f0: F0) -> F0:
    """A workspace with an input, a file that nobody declares, a directory for outputs, and a file outside."""
    f0.write("in.txt", "input\n")
    f0.write("secret.txt", "secret\n")
    f0.write("res/.keep", "")
    f0.write("../outside.txt", "secret\n")
    f0.write("../home/.keep", "")
    return f0


def behind_the_wall(rules: Rules, work: Callable[[], None], late: bool = False) -> str:
    """What becomes of ``work`` where only Landlock stands, and nobody judges calls: the name of its error, or "done"."""
    ruleset = landlock.ruleset(rules, late)
    assert ruleset is not None
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            landlock.restrict_me(ruleset)
            work()
            os.write(writing, b"done")
        except OSError as error:
            os.write(writing, type(error).__name__.encode())
        finally:
            os._exit(0)
    os.close(ruleset)
    os.close(writing)
    with open(reading, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(pid, 0)
    return said


@walled
def test_the_kernel_forbids_by_itself_what_is_not_permitted(tmp_path: Path) -> None:
    root = Path(os.path.realpath(tmp_path))
    for name in ("in", "other", "data/x", "tree/x", "tree/z", "a/b.py"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("text")
    (root / "a/__pycache__").mkdir()
    (root / "res").mkdir()
    (root / "a/__pycache__/b.cpython-311.pyc").write_text("")
    rules = Rules(
        f"{root}/",
        reads={str(root / "in"), str(root / "a/b.py")},
        read_trees=trees([str(root / "data")]),
        writes={str(root / "res/new"), str(root / "res/sub/deep")},
        write_trees=trees([str(root / "tree")]),
    )
    free: dict[str, Callable[[], object]] = {
        "read": lambda: (root / "in").read_text(),
        "read below": lambda: (root / "data/x").read_text(),
        "read bytecode": lambda: (root / "a/__pycache__/b.cpython-311.pyc").read_text(),
        "system": lambda: Path("/etc/passwd").read_text(),
        "list": lambda: os.listdir(root),
        "look": lambda: os.stat(root / "other"),
        "devices": lambda: Path("/dev/null").write_text("x"),
        "make": lambda: (root / "res/new").write_text("x"),
        "make directories": lambda: os.makedirs(root / "res/sub"),
        "move": lambda: os.rename(root / "tree/x", root / "res/new"),
        "shorten": lambda: os.truncate(root / "tree/z", 0),
        "link": lambda: os.symlink("x", root / "tree/l"),
        "socket": lambda: socket.socket(socket.AF_UNIX).bind(str(root / "tree/s")),
    }
    for name, work in free.items():
        assert behind_the_wall(rules, work) == "done", name
    forbidden: dict[str, Callable[[], object]] = {
        "read": lambda: (root / "other").read_text(),
        "read outside": lambda: (root.parent / "outside").read_text(),
        "write": lambda: (root / "in").open("a"),
        "shorten": lambda: os.truncate(root / "in", 0),
        "remove": lambda: os.unlink(root / "other"),
        "make": lambda: (root / "data/y").touch(),
        "make a directory": lambda: os.mkdir(root / "new"),
        "make a link": lambda: os.symlink("x", root / "data/l"),
        "make a socket": lambda: socket.socket(socket.AF_UNIX).bind(str(root / "s")),
        "move": lambda: os.rename(root / "other", root / "tree/other"),
        "move away": lambda: os.rename(root / "tree/l", root / "data/l"),
    }
    (root.parent / "outside").write_text("")
    for name, work in forbidden.items():
        assert behind_the_wall(rules, work) == "PermissionError", name
    assert behind_the_wall(rules, forbidden["read"], late=True) == "done", "a depfile may yet declare it"
    assert behind_the_wall(rules, forbidden["write"], late=True) == "PermissionError"
    assert behind_the_wall(rules, lambda: os.link(root / "in", root / "tree/in")) == "OSError", "EXDEV"


@walled
def test_sockets_without_a_file_are_those_of_the_step(tmp_path: Path) -> None:
    if landlock.version() < 6:
        pytest.skip("needs Landlock of Linux 6.12")

    def connect(name: str) -> None:
        socket.socket(socket.AF_UNIX).connect(name)

    def both() -> None:
        with socket.socket(socket.AF_UNIX) as mine:
            mine.bind("\0f0make-test-mine")
            mine.listen()
            connect("\0f0make-test-mine")

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0f0make-test-{os.getpid()}")
        listener.listen()
        name = f"\0f0make-test-{os.getpid()}"
        assert behind_the_wall(Rules("/nowhere/"), lambda: connect(name)) == "PermissionError"
    assert behind_the_wall(Rules("/nowhere/"), both) == "done"


RACE = """\
import ctypes, os, threading
L = ctypes.CDLL(None)
good, bad = b"%(good)s" + bytes(1), b"%(bad)s" + bytes(1)
path = ctypes.create_string_buffer(good, 300)
end = False
def flip():
    while not end:
        ctypes.memmove(path, bad, len(bad)); ctypes.memmove(path, good, len(good))
thread = threading.Thread(target=flip)
thread.start()
seen = b""
for _ in range(3000):
    fd = L.open(path, 0)
    if fd >= 0:
        seen += os.read(fd, 20)
        os.close(fd)
end = True
thread.join()
print("leaked" if b"secret" in seen else "kept", b"input" in seen, flush=True)
"""


@walled
@pytest.mark.parametrize("bad", ["../outside.txt", "secret.txt"])
def test_a_path_that_changes_between_look_and_call_leads_nowhere(world: F0, bad: str) -> None:
    world.recipe(
        step("python3 in.py", "res/out.txt").replace(
            "inputs: in.txt", "inputs:\n      - in.txt\n      - in.py"
        )
    )
    good = world.workspace / "in.txt"
    world.write("in.py", RACE % {"good": good, "bad": os.path.normpath(world.workspace / bad)})
    done = world("run", "recipe.yaml", "--strict", env=home(world))
    assert "kept True" in done.stdout + done.stderr


READS = {
    "a path that begins like the system's": ("cat /usr/..$PWD/secret.txt > out.txt", "secret.txt"),
    "a path that begins like a library's": ("cat /lib/../../..$PWD/secret.txt > out.txt", "secret.txt"),
    "what a link leads to, linked": (
        'ln -s $PWD/secret.txt "$TMPDIR/l"; ln -L "$TMPDIR/l" out.txt',
        "secret.txt",
    ),
    "a descriptor for nothing, linked by its name in /proc": (
        py(
            "fd = os.open('secret.txt', os.O_PATH); L.linkat(-100, b'/proc/self/fd/%d' % fd, -100, b'out.txt', 0x400)"
        ),
        "secret.txt",
    ),
    "by a program that hides its memory": (
        py("print(L.prctl(4, 0, 0, 0, 0), L.prctl(3)); open('secret.txt').read()"),
        "secret.txt",
    ),
    "what a link leads to, run": ('ln -s $PWD/tool.sh "$TMPDIR/l"; "$TMPDIR/l" > out.txt', "tool.sh"),
}


@pytest.mark.parametrize("how", READS)
def test_reads_by_further_ways_are_named(world: F0, how: str) -> None:
    text, named = READS[how]
    world.write("tool.sh", "#!/bin/sh\necho secret\n", 0o755)
    world.recipe(step(f"({text}) || true\ntouch out.txt"))
    found = world.run("--strict", code=1, env=home(world))
    assert named in found.reasons["it"] and "not among its inputs" in found.reasons["it"]
    assert not world.exists("out.txt")


WRITES = {
    "the time of an open file": (py("os.utime(os.open('in.txt', 0), (1, 1))"), "in.txt"),
    "a socket": (py("import socket; socket.socket(socket.AF_UNIX).bind('side.sock')"), "side.sock"),
    "through a link": ('ln -s $PWD/secret.txt "$TMPDIR/l"; chmod 600 "$TMPDIR/l"', "secret.txt"),
}


@pytest.mark.parametrize("how", WRITES)
def test_writes_by_further_ways_are_named(world: F0, how: str) -> None:
    text, named = WRITES[how]
    world.recipe(step(f"({text}) || true\ntouch out.txt"))
    before = (world.workspace / "in.txt").stat().st_mtime_ns
    found = world.run("--strict", code=1, env=home(world))
    assert named in found.reasons["it"] and "not among its outputs" in found.reasons["it"]
    assert not world.exists("side.sock") and (world.workspace / "in.txt").stat().st_mtime_ns == before


INNOCENT = {
    "links themselves": (
        "mkdir -p d; ln -s /usr/share d/l; touch -h d/l; cp -a d/l d/m; ln -s ../in.txt d/n; touch -h d/n",
        "d/",
    ),
    "its output once more": (
        "echo x > /dev/stdout; echo y | tee /dev/stderr /dev/fd/1; cp in.txt out.txt",
        "out.txt",
    ),
    "another name of an input": ('ln in.txt res/out.txt; ln in.txt "$TMPDIR/x"', "res/out.txt"),
    "made, removed, made": ("rm -rf d; mkdir d; cp in.txt d/x; rm -rf d; mkdir d; ln in.txt d/x", "d/"),
    "there and back": (
        'cp in.txt res/out.txt; mv res/out.txt "$TMPDIR/y"; mv "$TMPDIR/y" res/out.txt',
        "res/out.txt",
    ),
    "what it has made, run": (
        "cp /bin/true res/out.txt; res/out.txt; cp /bin/true $TMPDIR/t; $TMPDIR/t",
        "res/out.txt",
    ),
    "deep directories": (
        "cp in.txt new/deep/out.txt; rm new/deep/out.txt; cp in.txt new/deep/out.txt",
        "new/deep/out.txt",
    ),
    "its own sockets": (
        "cp in.txt out.txt; cd $TMPDIR; python3 -c 'import socket as s\n"
        "a, b = s.socket(s.AF_UNIX), s.socket(s.AF_UNIX)\n"
        'a.bind("s"); a.listen(); b.connect("s")\'',
        "out.txt",
    ),
    "names of users": (
        "getent passwd 0 > out.txt; id > out.txt; getent hosts localhost >> out.txt || true",
        "out.txt",
    ),
    "the jobserver by its path": (
        'cp in.txt out.txt; p=${MAKEFLAGS##*fifo:}; case $MAKEFLAGS in *fifo:*) : <> "$p";; esac',
        "out.txt",
    ),
    "a make below": (
        "printf 'all: a b\\na b:\\n\\t@cp in.txt $(TMPDIR)/$@\\n' > $TMPDIR/M; make -j2 -f $TMPDIR/M; touch out.txt",
        "out.txt",
    ),
}


def test_what_is_allowed_may_be_replaced(world: F0) -> None:
    """What a tool does with its settings and its cache, there or not yet."""
    text = "rm -rf ~/.cache/tool; mkdir -p ~/.cache/tool; echo > ~/.cache/tool/x; echo > ~/.rc~; mv ~/.rc~ ~/.rc; touch out.txt"
    allow = "    allow:\n      write:\n        - ~/.cache/tool\n        - ~/.rc\n        - ~/.rc~\n    run:"
    world.recipe(step(text).replace("    run:", allow))
    for _ in range(2):
        assert world.run("--strict", "--force", "it", env=home(world)).states == {"it": "ran"}


@pytest.mark.parametrize("how", INNOCENT)
def test_what_is_permitted_is_not_refused_below(world: F0, how: str) -> None:
    text, outputs = INNOCENT[how]
    world.recipe(step(text, outputs))
    found = world.run("--strict", env=home(world))
    assert found.states == {"it": "ran"}, found.stderr
    assert world.run("--strict", "--force", "it", env=home(world)).states == {"it": "ran"}, (
        "with its outputs there"
    )


def test_a_socket_where_somebody_else_listens_is_named(world: F0) -> None:
    path = Path(tempfile.mkdtemp()).resolve() / "daemon.sock"  # tmp_path may be longer than an address
    ask = f"import socket; socket.socket(socket.AF_UNIX).connect({str(path)!r})"
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind(str(path))
        daemon.listen()
        text = f"python3 -c {shlex.quote(ask)} || true; touch out.txt"
        world.recipe(step(text))
        found = world.run("--strict", code=1, env=home(world))
        assert "daemon.sock" in found.reasons["it"] and "connects" in found.reasons["it"]
        assert world.run("--audit", env=home(world)).states == {"it": "ran"}
        allowed = step(text).replace("    run:", f"    allow:\n      write: {path}\n    run:")
        world.recipe(allowed)
        assert world.run("--strict", "--force", "it", env=home(world)).states == {"it": "ran"}
    assert world.run("--strict", "--force", "it", env=home(world)).states == {"it": "ran"}, "nobody listens"
    shutil.rmtree(path.parent)
