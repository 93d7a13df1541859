"""What is sent to workers: complete by itself, equal for equal code, and readable by the oldest Python allowed."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from f0make.backends.clusters import worker_module

_ALL = """
import importlib, sys, types
name, source = sys.argv[1:]
module = types.ModuleType(name)
exec(compile(open(source).read(), name, "exec"), module.__dict__)
open("f0make.zip", "wb").write(module.ARCHIVE)
sys.path.insert(0, "f0make.zip")
import zipfile
for file in zipfile.ZipFile("f0make.zip").namelist():
    # macOS's part of `host` is imported there only; `runtime` is a program of its own, made of files.
    if file.startswith("f0make/") and file.endswith(".py") and "portable" not in file and "/runtime/" not in file:
        importlib.import_module(file[:-3].replace("/", ".").replace(".__init__", ""))
assert all(m.__file__.startswith("f0make.zip") for n, m in sys.modules.items() if n.startswith("f0make."))
print(len(sys.modules))
"""


@pytest.mark.parametrize("python", [sys.executable, "python3.9"])
def test_it_is_all_that_a_worker_needs(tmp_path: Path, python: str) -> None:
    elsewhere = glob.glob(os.path.expanduser("~/.pyenv/versions/3.9.*/bin/python3.9"))
    found = (elsewhere or [shutil.which(python)])[0] if python == "python3.9" else python
    if found is None or subprocess.run([found, "-c", ""], check=False, capture_output=True).returncode:
        pytest.skip(f"there is no {python}")
    name, source = worker_module.module()
    (tmp_path / "module.py").write_text(source)
    # -I -S: nothing of f0make's, nothing that is installed.
    done = subprocess.run(
        [found, "-I", "-S", "-c", _ALL, name, "module.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 50


def test_equal_code_has_one_name() -> None:
    first = worker_module.module()
    worker_module.module.cache_clear()
    assert worker_module.module() == first
