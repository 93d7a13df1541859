"""The zipapp against the installed command."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Command, alternately, once
from bench.setting import JOBS, Setting
from bench.table import Row

ROOT = Path(__file__).parent.parent.parent
LEAN = "dist/f0make.pyz"
RECIPE = "steps:\n  - name: a\n    outputs: a.txt\n    run: echo > a.txt\n"


def zipapp(setting: Setting) -> Iterator[Row]:
    """Nothing to do, from the second start on; and the first start, which unpacks."""
    tools = "build/zipapp/python{}.{}".format(*sys.version_info[:2])
    subprocess.run(["make", "-s", f"{tools}/.installed", f"PYTHON={sys.executable}"], cwd=ROOT, check=True)
    build = [str(ROOT / tools / "bin/python"), "-m", "onefile", LEAN, "--into", str(setting.place)]
    subprocess.run(build, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    place, root = setting.place / "zipapp", setting.place / "shiv"
    place.mkdir()
    (place / "recipe.yaml").write_text(RECIPE)
    run = ["run", "recipe.yaml", f"-j{JOBS}"]
    installed = Command("installed", [setting.f0make, *run], place)
    packed = Command(
        "zipapp", [sys.executable, str(setting.place / LEAN), *run], place, env={"SHIV_ROOT": str(root)}
    )
    once(packed)
    ours, theirs = alternately([packed, installed], setting.rounds * 3)
    yield Row("no-op, zipapp / installed", ours, theirs, 1.5)
    packed.before = lambda: setting.discard(root)
    (first,) = alternately([packed], setting.few)
    yield Row("first start of the lean zipapp", value=first.median, unit="s")
