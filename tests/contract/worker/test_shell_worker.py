"""Shell steps in a real worker: how they are started, what they find, what becomes of what they leave."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from f0make.files.signature import FOREVER
from tests.support.execution_support import WORKERS, Lab, alive, pid_in, until

SHOW = f"{sys.executable} show.py"
"""A simple command, started without a shell."""


@pytest.fixture(scope="module", params=["loky", "forked"])
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    environ = {**os.environ, "FROM_OUTSIDE": "yes"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(WORKERS, request.param)
        lab = Lab(tmp_path_factory.mktemp("lab"), environ=environ)
    yield lab
    lab.stop()


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_success(lab: Lab) -> None:
    before = time.time()
    outcome = lab.run("echo data > out; echo said; echo wrong >&2", outputs=["out"])
    assert (outcome.ok, outcome.message, outcome.exit_code, outcome.lost) == (True, "", 0, False)
    assert outcome.outputs == {"out": digest(b"data\n")}
    assert lab.log == "said\nwrong\n"
    assert before - 0.1 <= outcome.started <= time.time()
    assert 0 < outcome.seconds < 10 and outcome.cpu_seconds > 0
    size, mtime, ctime, inode, mode, clock = outcome.signatures["out"]
    st = (lab.path / "out").stat()
    assert (size, mtime, ctime, inode, mode) == (5, st.st_mtime_ns, st.st_ctime_ns, st.st_ino, st.st_mode)
    # Where the file system's stamps are exact (another test may have found that out), the look holds for good.
    assert clock == FOREVER or abs(clock - time.time_ns()) < 60e9


def test_a_silent_step_leaves_no_log(lab: Lab) -> None:
    assert lab.run("true").ok
    assert not lab.last_log.exists()


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("exit 3", 3),
        ("false | true", 1),
        ("echo $NOT_SET", 1),
        ("false; true", 1),
        ("no-such-program a", 127),
    ],
)
def test_failure(lab: Lab, command: str, code: int) -> None:
    outcome = lab.run(command)
    assert (outcome.ok, outcome.exit_code, outcome.message) == (False, code, f"exit code {code}")


def test_exit_codes(lab: Lab) -> None:
    assert lab.run("exit 3", exit_codes=[0, 3]).ok
    outcome = lab.run("true", exit_codes=[1])
    assert (outcome.ok, outcome.exit_code) == (False, 0)


@pytest.mark.parametrize("command", ["no-such-program a b", "./plain a", "./nothing-here", "./subdir"])
def test_what_cannot_be_started_fails_as_in_bash(lab: Lab, command: str) -> None:
    (lab.path / "plain").write_text("x")
    (lab.path / "subdir").mkdir(exist_ok=True)
    expected = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=lab.path,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    outcome = lab.run(command)
    assert (outcome.exit_code, lab.log) == (expected.returncode, expected.stderr)


def test_a_script_without_interpreter_line_runs_in_the_shell(lab: Lab) -> None:
    script = lab.path / "script"
    script.write_text("echo ran $1\n")
    script.chmod(0o755)
    assert lab.run("./script here").ok
    assert lab.log == "ran here\n"


def test_killed_by_a_signal(lab: Lab) -> None:
    outcome = lab.run("kill -SEGV $$")
    assert (outcome.ok, outcome.signal, outcome.exit_code) == (False, 11, None)
    assert outcome.message == "killed by SIGSEGV"
    outcome = lab.run("sh -c 'kill -9 $$'; true")
    assert outcome.exit_code == 137 and "SIGKILL" in outcome.message


@pytest.mark.parametrize("through", ["", "true; "])
def test_a_clean_start(lab: Lab, through: str) -> None:
    """No ignored or blocked signals, no open files, no terminal, a session of its own; with and without a shell."""
    (lab.path / "show.py").write_text(
        "import os\n"
        "for line in open('/proc/self/status'):\n"
        "    if line.startswith(('SigBlk', 'SigIgn')): print(line.split()[1])\n"
        "print(sorted(int(f) for f in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{f}')))\n"
        "print(os.readlink('/proc/self/fd/0'), os.getcwd())\n"
        "print(os.getsid(0) == os.getppid() or os.getsid(0) == os.getpid())\n"
    )
    assert lab.run(f"{through}{sys.executable} -S show.py").ok
    blocked, ignored, files, place, session = lab.log.splitlines()
    # Python itself ignores SIGPIPE (13) and SIGXFSZ (25); 32 and 33 belong to the C library.
    assert int(blocked, 16) == 0 and int(ignored, 16) & ~(1 << 12 | 1 << 24 | 3 << 31) == 0
    assert files == "[0, 1, 2]"
    assert place == f"/dev/null {lab.path}"
    assert session == "True"
    assert lab.run(f"{through}grep -E 'SigIgn|SigBlk' /proc/self/status").ok
    blocked, ignored = (int(line.split()[1], 16) for line in lab.log.splitlines())
    assert (blocked, ignored & ~(3 << 31)) == (0, 0)


def test_environment(lab: Lab) -> None:
    def variables(command: str, **env: str) -> dict[str, str]:
        assert lab.run(command, env=env).ok
        return dict(item.split("=", 1) for item in lab.log.split("\0") if item)

    direct = variables("env -0", DECLARED="a b\n'c'", FROM_OUTSIDE="over")
    by_shell = variables("env -0; true", DECLARED="a b\n'c'", FROM_OUTSIDE="over")
    plain = variables("env -0")
    for found in (direct, by_shell):
        assert found["DECLARED"] == "a b\n'c'" and found["FROM_OUTSIDE"] == "over"
        assert found["PWD"] == str(lab.path)
        assert "F0MAKE_WORKSPACE" in found
    assert plain["FROM_OUTSIDE"] == "yes" and "DECLARED" not in plain
    own = {
        "F0MAKE_CPUS",
        "F0MAKE_WORKSPACE",
        "PWD",
        "OLDPWD",
        "SHLVL",
        "_",
        "DECLARED",
        "FROM_OUTSIDE",
        "PYTEST_CURRENT_TEST",
    }
    outside = {k: v for k, v in os.environ.items() if k not in own}
    assert {k: v for k, v in direct.items() if k not in own} == outside
    assert {k: v for k, v in by_shell.items() if k not in own} == outside
    alone = subprocess.run(["bash", "-c", "env -0"], stdout=subprocess.PIPE, check=True, text=True).stdout
    assert f"_={direct['_']}\0" in alone


def test_bash_variables_that_change_meaning_are_respected(lab: Lab) -> None:
    (lab.path / "rc").write_text("echo rc was read\n")
    lab.run("ls rc", env={"BASH_ENV": "rc"})
    assert lab.log == "rc was read\nrc\n"
    lab.run("ls rc", env={"BASH_FUNC_ls%%": "() {  echo a function\n}"})
    assert lab.log == "a function\n"


def test_the_path_of_the_step_counts(lab: Lab) -> None:
    tools = lab.path / "tools"
    tools.mkdir()
    (tools / "mytool").write_text('#!/bin/sh\necho mine "$@"\n')
    (tools / "mytool").chmod(0o755)
    assert lab.run("mytool 'a b'", env={"PATH": f"{tools}:{os.environ['PATH']}"}).ok
    assert lab.log == "mine a b\n"


def test_text_longer_than_an_argument(lab: Lab) -> None:
    text = f"v='{'x' * 200_000}'\necho ${{#v}}\nfalse | true\necho not reached\n"
    outcome = lab.run(text)
    assert (outcome.exit_code, lab.log) == (1, "200000\n")
    assert [n for n in os.listdir(lab.path / ".f0make/run") if n.startswith("script")] == []


@pytest.mark.parametrize(
    ("first", "rest", "log"),
    [
        ("#!/bin/sh", "echo $0 | grep -c script", "1\n"),
        (f"#!{sys.executable}", "import sys\nprint(sys.version_info[0], len(sys.argv))", "3 1\n"),
        ("#!/usr/bin/env python3", "print('env')", "env\n"),
        ("#! /bin/sh -e ", "false\necho no", ""),
        ("#!/bin/sh\t-e", "false\necho no", ""),
    ],
)
def test_interpreter_line(lab: Lab, first: str, rest: str, log: str) -> None:
    outcome = lab.run(f"{first}\n{rest}\n")
    assert lab.log == log and outcome.ok == bool(log)


def test_missing_interpreter(lab: Lab) -> None:
    outcome = lab.run("#!/no/such/interpreter\nx")
    assert (outcome.ok, outcome.exit_code) == (False, 127)
    assert "/no/such/interpreter" in outcome.message and "/no/such/interpreter" in lab.log


@pytest.mark.parametrize(
    ("shell", "command", "log"),
    [
        ("sh -eu", "echo $0; false; echo no", "sh\n"),
        ("bash -c", "echo c", "c\n"),
        ("bash -ec", "echo c; false; echo no", "c\n"),
        (f"{sys.executable} -I", "import sys; print(sys.flags.isolated)", "1\n"),
        ("cat -n", "a text", "     1\ta text"),
        ("env LC_ALL=C sh", "echo $LC_ALL", "C\n"),
    ],
)
def test_other_shells(lab: Lab, shell: str, command: str, log: str) -> None:
    lab.run(command, shell=shell)
    assert lab.log == log


def test_a_shell_that_is_not_there(lab: Lab) -> None:
    outcome = lab.run("x", shell="no-such-shell -c")
    assert (outcome.ok, outcome.exit_code) == (False, 127)
    assert "no-such-shell" in outcome.message
    assert "split" in lab.run("x", shell="bash 'open").message


def test_names_of_any_bytes(lab: Lab) -> None:
    (lab.path / "original").write_text("text\n")
    name = os.fsdecode(b"odd \xff'\"\n name")
    outcome = lab.run(f"cp original {_quote(name)}", outputs=[name])
    assert outcome.ok and list(outcome.outputs) == [name]


def _quote(name: str) -> str:
    return "'" + name.replace("'", "'\\''") + "'"


# Outputs.


def test_outputs_of_every_kind(lab: Lab) -> None:
    outcome = lab.run(
        "mkdir -p d/sub d/empty; echo 1 > d/a; echo 2 > d/sub/b; chmod +x d/a; ln -s a d/link\n"
        "echo x > x; chmod +x x; ln -s x sym",
        outputs=["d/", "x", "sym"],
        store=str(lab.path / "cache"),
    )
    assert outcome.ok and outcome.stored and outcome.message == ""
    assert outcome.trees["d"] == {
        "a": digest(b"1\n") + "x",
        "empty": "/",
        "link": "@" + digest(b"a"),
        "sub/b": digest(b"2\n"),
    }
    assert outcome.outputs["x"] == digest(b"x\n") + "x"
    assert outcome.outputs["sym"] == f"@{digest(b'x')}"
    assert outcome.outputs["d"].endswith("/") and len(outcome.outputs["d"]) == 65
    assert set(outcome.signatures) == {"x", "d/a", "d/sub/b"}
    for data in (b"1\n", b"2\n", b"x\n", b"a", b"x"):
        blob = lab.path / "cache/cas" / digest(data)[:2] / digest(data)
        assert blob.read_bytes() == data


@pytest.mark.parametrize(
    ("command", "outputs", "message"),
    [
        ("true", ["not/there"], "it did not make its output 'not/there' (a file)"),
        ("true", ["nodir/"], "(a directory)"),
        ("mkdir isdir", ["isdir"], "'isdir' is a directory, but the recipe declares a file"),
        ("touch isfile", ["isfile/"], "'isfile' is no directory"),
        ("mkdir real; ln -s real tosym", ["tosym/"], "'tosym' is a symlink"),
        ("mkfifo pipe", ["pipe"], "'pipe' is a named pipe"),
    ],
)
def test_outputs_that_do_not_fit(lab: Lab, command: str, outputs: list[str], message: str) -> None:
    outcome = lab.run(command, outputs=outputs)
    assert not outcome.ok and message in outcome.message
    assert (outcome.outputs, outcome.signatures) == ({}, {})


def test_not_empty(lab: Lab) -> None:
    for command, output in (("touch e1", "e1"), ("mkdir e2", "e2/")):
        outcome = lab.run(command, outputs=[output], not_empty=True)
        assert not outcome.ok and "is empty" in outcome.message
    assert lab.run("echo > e3; mkdir e4; touch e4/x", outputs=["e3", "e4/"], not_empty=True).ok


def test_a_cache_that_cannot_be_used_is_no_failure(lab: Lab) -> None:
    (lab.path / "blocked").write_text("a file where a directory should be")
    outcome = lab.run("echo 1 > o1", outputs=["o1"], store=str(lab.path / "blocked"))
    assert outcome.ok and not outcome.stored and "blocked" in outcome.message
    assert outcome.outputs == {"o1": digest(b"1\n")}


def test_depfile(lab: Lab) -> None:
    outcome = lab.run(
        "printf 'o2: a.h %s/b.h /usr/x.h\\n' \"$PWD\" > o2.d; touch o2", outputs=["o2"], depfile="o2.d"
    )
    assert outcome.ok and outcome.discovered == ["a.h", "b.h", "/usr/x.h"]
    assert not (lab.path / "o2.d").exists()
    outcome = lab.run("touch o3", outputs=["o3"], depfile="o3.d")
    assert (outcome.ok, outcome.message) == (False, "it did not write its depfile 'o3.d'")
    outcome = lab.run("echo nonsense > o4.d; touch o4", outputs=["o4"], depfile="o4.d")
    assert not outcome.ok and "o4.d" in outcome.message and "line 1" in outcome.message


# Measures.


def test_measures(lab: Lab) -> None:
    code = "x = bytearray(150_000_000); import time; e = time.process_time() + 0.3\nwhile time.process_time() < e: pass"
    outcome = lab.run(f"{sys.executable} -c '{code}' & wait $!")
    assert outcome.ok
    assert 0.3 <= outcome.cpu_seconds < 5
    assert 150_000_000 < outcome.peak_mem < 300_000_000
    outcome = lab.run("head -c 3000000 /dev/zero > big; cat big > big2")
    assert 6_000_000 <= outcome.written < 8_000_000 and 6_000_000 <= outcome.read < 8_000_000


def test_the_memory_of_a_tree_is_summed(lab: Lab) -> None:
    one = f"{sys.executable} -c 'x = bytearray(60_000_000); import time; time.sleep(0.6)'"
    outcome = lab.run(f"{one} & {one} & wait")
    assert 120_000_000 < outcome.peak_mem < 250_000_000


# What a step leaves.


def test_background_processes_end_with_the_step(lab: Lab) -> None:
    outcome = lab.run("sleep 300 & echo $! > bg")
    assert outcome.ok and outcome.seconds < 20
    assert not alive(pid_in(lab.path / "bg"))


def test_background_processes_that_ignore_term(lab: Lab) -> None:
    outcome = lab.run("(trap '' TERM; echo $BASHPID > stubborn; while :; do sleep 0.05; done) & sleep 0.2")
    assert outcome.ok and outcome.seconds < 20
    assert not alive(pid_in(lab.path / "stubborn"))


def test_process_substitution_may_finish_its_writing(lab: Lab) -> None:
    outcome = lab.run("exec > >(sleep 0.1; cat > tee.out)\necho last words", outputs=["tee.out"])
    assert outcome.ok and outcome.outputs["tee.out"] == digest(b"last words\n")


def test_a_daemon_outlives_its_step_but_not_an_interrupted_run(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    try:
        assert lab.run("setsid sleep 300 & sleep 0.1; echo $! > d").ok
        daemon = pid_in(tmp_path / "d")
        assert alive(daemon)
        assert lab.run("true").ok
        lab.submit("sleep 300 & echo $! > second; wait")
        second = pid_in(tmp_path / "second")
    finally:
        lab.stop()
    assert not alive(daemon) and not alive(second)


# A full disk.


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount")
def test_full_disk(tmp_path: Path) -> None:
    if (
        shutil.which("mount") is None
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)], check=False
        ).returncode
    ):
        pytest.skip("cannot mount here")
    try:
        lab = Lab(tmp_path)
        try:
            outcome = lab.run("cat /dev/zero > big")
            assert not outcome.ok and outcome.disk_full
            outcome = lab.run("echo hello; echo more >&2")
            assert not outcome.ok and outcome.disk_full
            (tmp_path / "big").unlink()
            assert lab.run("echo fine").ok
        finally:
            lab.stop()
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_a_log_that_cannot_be_written_fails_the_step(lab: Lab) -> None:
    (lab.path / "logfile").write_text("")
    outcome = lab.run("touch ran", log=str(lab.path / "logfile" / "x.log"))
    assert not outcome.ok and os.strerror(errno.ENOTDIR) in outcome.message
    assert not (lab.path / "ran").exists()
    assert until(lambda: lab.run("true").ok)
