"""The zipapp on a machine that has a Python and nothing else: what it runs, and what it keeps to itself."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.f0 import F0
from tests.support.sshd import pythons
from tests.support.zipapp_tools import bare_python, lean

RECIPE = """\
steps:
  - name: shell
    outputs: shell.txt
    run: env -0 > shell.txt
  - name: inner
    outputs: inner.txt
    run: python3 -c 'import importlib.util as u; print([n for n in ("f0make", "loky", "rich") if u.find_spec(n)])' > inner.txt
  - name: scriptlet
    module: scriptlets.mine.told
    function: Told
    args:
      word: kept
    outputs: told.txt
"""
SCRIPTLET = """\
import os
import subprocess
import sys

from scriptlets.core.base import BaseScriptlet


class Told(BaseScriptlet):
    class Params:
        word: str

    def run(self, ctx, params):
        ctx.set("word", params["word"])
        with open("told.txt", "wb") as file:
            for name, value in os.environb.items():
                file.write(name + b"=" + value + b"\\0")
        subprocess.run([sys.executable, "-c", "import sys; sys.exit('loky' in sys.modules)"], check=True)
        return 0
"""


@dataclass
class Place:
    """A workspace, and the zipapp started in it with an environment that holds nothing that is not needed."""

    workspace: Path
    archive: Path
    python: Path
    root: Path

    def environ(self, **more: str) -> dict[str, str]:
        """An unwritable home, and the user's Python first in PATH."""
        path = f"{self.python.parent}:/usr/bin:/bin"
        return {"PATH": path, "HOME": "/proc/nobody", "SHIV_ROOT": str(self.root)} | more

    def argv(self, *args: str) -> list[str]:
        """How it is started."""
        return [str(self.python), str(self.archive), *args]

    def __call__(
        self, *args: str, python: Sequence[str] = (), **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Run to the end. No traceback, whatever happens."""
        argv = [*python, str(self.archive), *args] if python else self.argv(*args)
        done = subprocess.run(
            argv,
            cwd=self.workspace,
            env=self.environ(**more),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def unpacked(self) -> list[str]:
        """What lies in SHIV_ROOT, but for locks."""
        return sorted(name for name in os.listdir(self.root) if not name.endswith("_lock"))


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bare_python(tmp_path_factory.mktemp("bare"))


@pytest.fixture(scope="session")
def unpacked_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpacked by whichever test comes first."""
    return tmp_path_factory.mktemp("root")


@pytest.fixture
def place(tmp_path: Path, bare: Path, unpacked_root: Path) -> Place:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    return Place(workspace, lean(), bare, unpacked_root)


@pytest.fixture
def fresh(place: Place, tmp_path: Path) -> Place:
    """Before its first start."""
    place.root = tmp_path / "shiv root"
    return place


def _variables(path: Path) -> dict[str, str]:
    return dict(item.split("=", 1) for item in path.read_text().split("\0") if item)


def test_runs_shell_and_python_steps_and_shows_them_nothing_of_its_own(place: Place) -> None:
    (place.workspace / "scriptlets/mine").mkdir(parents=True)
    (place.workspace / "scriptlets/mine/told.py").write_text(SCRIPTLET)
    (place.workspace / "recipe.yaml").write_text(RECIPE)
    done = place("run", "recipe.yaml", "--json", SHIV_WHATEVER="1", PYTHONPATH="/the/users/own")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout.splitlines()[-1])["ran"] == 3
    assert (place.workspace / "inner.txt").read_text() == "[]\n"
    for name in ("shell.txt", "told.txt"):
        seen = _variables(place.workspace / name)
        assert not [variable for variable in seen if variable.startswith("SHIV_")]
        assert seen["PYTHONPATH"] == "/the/users/own"
        assert str(place.root) not in "\0".join(seen.values())
    assert "kept" in place("context", "recipe.yaml").stdout
    again = place("run", "recipe.yaml")
    assert again.returncode == 0 and "nothing to do: 3 current" in again.stderr


def test_is_current_where_the_installed_f0make_was_and_the_other_way_round(place: Place) -> None:
    f0 = F0(place.workspace)
    (place.workspace / "scriptlets/mine").mkdir(parents=True)
    (place.workspace / "scriptlets/mine/told.py").write_text(SCRIPTLET)
    f0.recipe(RECIPE)
    assert f0.run().summary["ran"] == 3
    done = place("run", "recipe.yaml", "--json", "--retries", "1")
    assert json.loads(done.stdout.splitlines()[-1])["current"] == 3
    plan = place("plan", "recipe.yaml", "--exit-code")
    assert plan.returncode == 0, plan.stdout
    assert f0.run("--rehash").summary["current"] == 3


def test_every_verb_is_there(place: Place) -> None:
    assert place("--version").stdout.startswith("f0make ")
    helped = place("run", "--help")
    assert helped.returncode == 0 and "--keep-going" in helped.stdout
    assert place().returncode == 2
    assert place("init").returncode == 0
    assert place("validate", "recipe.yaml").returncode == 0
    assert place("run", "--nonsense").returncode == 2
    assert place("run", "recipe.yaml", "-q").returncode == 0
    assert "digraph" in place("graph", "recipe.yaml", "--dot").stdout


def test_starts_from_anywhere_and_under_any_name(place: Place, tmp_path: Path) -> None:
    (place.workspace / "recipe.yaml").write_text("steps:\n  - name: a\n    outputs: a\n    run: echo > a\n")
    link = tmp_path / "bin" / "f0make"
    link.parent.mkdir()
    link.symlink_to(place.archive)
    assert os.access(link, os.X_OK)
    elsewhere = place.environ(PATH=f"{link.parent}:{place.environ()['PATH']}")
    for argv, current in (
        (["f0make", "run", "-C", "workspace", "recipe.yaml"], 0),
        (["bin/f0make", "run", "-C", "workspace", "recipe.yaml"], 1),
    ):
        done = subprocess.run(argv, cwd=tmp_path, env=elsewhere, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert ("nothing to do" in done.stderr) == bool(current), done.stderr
    assert place.unpacked() == [name for name in place.unpacked() if name.startswith("f0make.pyz_")]


def test_four_first_starts_at_one_time_unpack_once(fresh: Place) -> None:
    started = [
        subprocess.Popen(
            fresh.argv("--help"),
            env=fresh.environ(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in started:
        said, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "") and "Usage: f0make" in said
    assert len(fresh.unpacked()) == 1


def test_a_first_start_that_is_killed_leaves_nothing_that_counts(fresh: Place) -> None:
    process = subprocess.Popen(
        fresh.argv("--version"), env=fresh.environ(), stdout=subprocess.PIPE, text=True
    )
    until = time.monotonic() + 30
    while not list(fresh.root.glob("*.tmp/site-packages/*")) and time.monotonic() < until:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL and not said
    assert [name for name in fresh.unpacked() if not name.endswith(".tmp")] == []
    assert fresh("run", "--help").returncode == 0
    assert len(fresh.unpacked()) == 1


def test_uses_the_users_cache_directory(fresh: Place, tmp_path: Path) -> None:
    for home in ({"HOME": str(tmp_path), "XDG_CACHE_HOME": ""}, {"XDG_CACHE_HOME": str(tmp_path / ".cache")}):
        assert fresh("--version", SHIV_ROOT="", **home).returncode == 0
        (unpacked,) = (tmp_path / ".cache/f0make").glob("f0make.pyz_*")
        assert (unpacked / "site-packages/f0make/entry.py").exists()


@pytest.mark.parametrize("root", ["", "/proc/nowhere", "/dev/null/root"])
def test_says_in_one_line_where_nothing_can_be_written(fresh: Place, root: str) -> None:
    done = fresh("--version", SHIV_ROOT=root)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("f0make: cannot be unpacked into ") and "SHIV_ROOT" in line


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to somebody else")
@pytest.mark.parametrize("which", ["the root", "the copy", "what is in it"])
def test_a_directory_of_another_user_is_refused(fresh: Place, which: str) -> None:
    assert fresh("--version").returncode == 0
    (copy,) = (fresh.root / name for name in fresh.unpacked())
    os.chown({"the root": fresh.root, "the copy": copy}.get(which, copy / "site-packages"), 61003, 61003)
    done = fresh("--version")
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("f0make: ") and "another user" in line and "SHIV_ROOT" in line


def test_a_damaged_copy_is_made_again(fresh: Place) -> None:
    assert fresh("--version").returncode == 0
    (unpacked,) = fresh.unpacked()
    shutil.rmtree(fresh.root / unpacked / "site-packages/jinja2")
    assert fresh("--version", SHIV_FORCE_EXTRACT="1").returncode == 0
    assert (fresh.root / unpacked / "site-packages/jinja2/__init__.py").exists()
    shutil.rmtree(fresh.root / unpacked / "site-packages")
    assert fresh("--version").returncode == 0


def test_shivs_own_interpreter_finds_the_packages(place: Place) -> None:
    done = place("-c", "import loky, f0make; print(f0make.__version__)", SHIV_INTERPRETER="1")
    assert done.returncode == 0 and done.stdout.strip()


def test_later_starts_import_nothing_of_shivs_and_no_zip(place: Place) -> None:
    (place.workspace / "recipe.yaml").write_text("steps:\n  - name: a\n    outputs: a\n    run: echo > a\n")
    place("run", "recipe.yaml", PYTHONDONTWRITEBYTECODE="1")
    place("run", "recipe.yaml", PYTHONDONTWRITEBYTECODE="1")
    for name in ("__pycache__/noop", "__pycache__/entry", "store/__pycache__/snapshot"):
        assert list(place.root.glob(f"*/site-packages/f0make/{name}.*.pyc"))
    done = place("run", "recipe.yaml", python=[str(place.python), "-X", "importtime"])
    imported = {
        line.rpartition("|")[2].strip()
        for line in done.stderr.splitlines()
        if line.startswith("import time:")
    }
    assert "nothing to do" in done.stderr and "f0make.noop" in imported
    assert imported.isdisjoint({"_bootstrap", "unpack", "zipfile", "typer", "json", "pathlib", "tempfile"})


OTHERS = [
    v
    for v in ("2.7", "3.6", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13")
    if v != "{}.{}".format(*sys.version_info[:2])
]


@pytest.mark.parametrize("version", OTHERS)
def test_another_python_is_told_which_one_is_needed(fresh: Place, version: str) -> None:
    try:
        python = pythons.find(version)[1]
    except LookupError as error:
        pytest.skip(str(error))
    done = fresh("--version", python=[str(python)])
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert (
        "this file is for cpython {}.{} on ".format(*sys.version_info[:2]) in line
        and f" {version} on " in line
    )
    assert not fresh.root.exists()


@pytest.mark.parametrize(
    ("word", "instead", "said"),
    [("BUILT_FOR", "cpython 3.99 on vax", "is for cpython 3.99"), ("LIBC", "2.999", "needs GNU libc 2.999")],
)
def test_another_machine_is_told_so(fresh: Place, tmp_path: Path, word: str, instead: str, said: str) -> None:
    with zipfile.ZipFile(fresh.archive) as archive, zipfile.ZipFile(tmp_path / "other.pyz", "w") as other:
        for name in archive.namelist():
            data = archive.read(name)
            if name == "__main__.py":
                lines = data.decode().splitlines(keepends=True)
                data = "".join(
                    f'{word} = "{instead}"\n' if x.startswith(f"{word} = ") else x for x in lines
                ).encode()
            if name != "__main__.pyc":
                other.writestr(name, data)
    fresh.archive = tmp_path / "other.pyz"
    done = fresh("--version")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert said in done.stderr
