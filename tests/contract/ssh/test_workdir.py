"""A host's `workdir` among other users of that host: nobody else may get between f0make and its own code there."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.support.remote_tools import Remote, apart, host_events
from tests.support.sshd.host import Host

pytestmark = apart

ONE = "steps:\n  - name: one\n    outputs: one\n    run: echo one > one\n"
FAST = ("--connect-timeout", "4s", "--reconnect", "2s")


@pytest.fixture
def h1(remote: Remote) -> Host:
    (host,) = remote.standing("h1")
    return host


def stage(remote: Remote, host: Host, script: str) -> str:
    """Run ``script`` (as root; $D is a new directory of root's) there; the directory."""
    place = f"/mnt/host/place-{remote.number}"
    host.sh(f"D={place}; mkdir -m 755 $D; {script}")
    return place


UNSAFE = {
    "made by another user": ("mkdir -m 777 $D/wd; chown 4242 $D/wd", "belongs to another user"),
    "in another user's directory": (
        "mkdir -p $D/wd/wd; chown 4242 $D/wd; mv $D/wd/wd $D/x; ",
        "another user",
    ),
    "that anybody may write to": ("mkdir -m 777 $D/wd; chown worker $D/wd", "written to by other users"),
    "below what anybody may write to": ("mkdir -m 777 $D/wd", "written to by other users"),
    "below what a group may write to": ("mkdir -m 775 $D/wd; chgrp 4242 $D/wd", "written to by other users"),
    "by a link of another user": ("ln -s /home/worker $D/wd; chown -h 4242 $D/wd", "belongs to another user"),
    "with a part of another user": (
        "mkdir -m 755 $D/wd; mkdir $D/wd/agent; chown worker $D/wd; chown 4242 $D/wd/agent",
        "belongs to another user",
    ),
    "a file": (": > $D/wd", "Not a directory"),
}


@pytest.mark.parametrize("how", UNSAFE)
def test_a_workdir_that_others_can_touch_is_refused(remote: Remote, h1: Host, how: str) -> None:
    script, why = UNSAFE[how]
    place = stage(remote, h1, script)
    remote.hosts(h1, workdir=f"{place}/wd" + "/below" * how.startswith(("below", "in ")))
    remote.recipe(ONE)
    result = remote.there(*FAST, code=5)
    ((status, reason),) = host_events(result)
    assert status == "left-out" and why in reason and place in reason and "set workdir" in reason


SAFE = {
    "in a sticky directory": "mkdir -m 1777 $D/wd",
    "by a link of one's own": "mkdir $D/t; chown worker $D/t; ln -s $D/t $D/wd; chown -h worker $D/wd",
    "by a link of root's": "mkdir $D/t; chown worker $D/t; ln -s t $D/wd",
}


@pytest.mark.parametrize("how", SAFE)
def test_a_workdir_of_ones_own_is_used(remote: Remote, h1: Host, how: str) -> None:
    place = stage(remote, h1, SAFE[how])
    remote.hosts(h1, workdir=f"{place}/wd/own")
    remote.recipe(ONE)
    remote.there(*FAST)
    assert remote.read("one") == "one\n"


RACE = """\
import os, shutil
os.setuid(4242)
while not os.path.exists(W + "-stop"):
    for make in (lambda: os.mkdir(W, 0o777), lambda: os.symlink("/mnt/host/evil", W)):
        try:
            make()
            os.rename(W, W + "-aside")
        except OSError:
            pass
        shutil.rmtree(W + "-aside", ignore_errors=True)
        try:
            os.unlink(W + "-aside")
        except OSError:
            pass
"""


def test_a_neighbour_who_races_for_the_workdir_gains_nothing(remote: Remote, h1: Host) -> None:
    place = stage(remote, h1, "chmod 1777 $D")
    (h1.base / f"race-{remote.number}.py").write_text(f"W = {place + '/wd'!r}\n{RACE}")
    assert h1.machine is not None
    argv = [*h1.machine.enter(), "python3", f"/mnt/host/race-{remote.number}.py"]
    neighbour = subprocess.Popen(argv)
    try:
        for n in range(3):
            remote.hosts(h1, workdir=f"{place}/wd")
            remote.recipe(ONE.replace("echo one", f"echo {n}"))
            result = remote.there(*FAST, code=None)
            assert result.code in (0, 5), result.stderr
            made = h1.inside(f"{place}/wd/agent")
            if result.code == 0 and made.exists():
                assert made.stat().st_uid == h1.inside("").stat().st_uid
    finally:
        h1.sh(f": > {place}/wd-stop")
        neighbour.wait(10)


def test_the_bytes_that_were_verified_run_not_what_lies_at_their_path(remote: Remote, h1: Host) -> None:
    """A copy that is replaced while a run is on, by one that writes a mark: no process of the run reads it."""
    remote.hosts(h1)
    remote.write("mine.py", "def go(out: str) -> None:\n    open(out, 'w').write('mine')\n")
    remote.recipe(
        "steps:\n  - name: spoil\n    outputs: spoilt\n    run: |\n"
        f"      for zip in {remote.workdir_there(h1)}/agent/*.zip; do cp /mnt/host/evil.zip $zip; done\n"
        "      echo > spoilt\n"
        "  - name: mine\n    inputs: spoilt\n    outputs: mine\n    module: mine\n    function: go\n"
        "    args:\n      out: mine\n"
    )
    with zipfile.ZipFile(h1.base / "evil.zip", "w") as evil:
        for name in (
            "f0make/worker/python_step.py",
            "f0make/worker/agent/remote_attempt.py",
            "f0make/context.py",
        ):
            evil.writestr(name, "open('/tmp/evil-mark', 'w')\n")
    remote.there()
    assert remote.read("mine") == "mine" and not h1.inside("/tmp/evil-mark").exists()


@pytest.mark.parametrize("name", ["base64", "sitecustomize", "f0make"])
def test_nothing_is_imported_from_where_the_login_ends(remote: Remote, h1: Host, name: str) -> None:
    mark = h1.inside(f"imported-{remote.number}")
    path = Path(h1.inside(f"{name}.py"))
    path.write_text(f"open('{h1.layout.home}/{mark.name}', 'w')\n")
    try:
        remote.hosts(h1)
        remote.recipe(ONE)
        remote.there()
        assert not mark.exists()
    finally:
        path.unlink()
