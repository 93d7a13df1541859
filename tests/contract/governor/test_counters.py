"""Hardware counters of energy, with the real CodeCarbon and without: what is measured, and what is kept out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.f0 import F0, TIMEOUT, Result, command
from tests.support.power_world import command as world
from tests.support.power_world import within

pytestmark = pytest.mark.skipif(within() is None, reason="namespaces of its own are not allowed")

WATTS = 40.0
BURN = "import time\nwhile time.process_time() < 0.8: pass"

SPY = """
import os, sys
if os.environ.get("SPY"):
    def hook(event, args):
        if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
            if event != "socket.connect" or getattr(args[0], "family", None) != 1:
                with open(os.environ["SPY"], "a") as file:
                    print(event, args[1:], file=file)
    sys.addaudithook(hook)
"""
"""A sitecustomize that writes down every attempt to reach the network."""

HOSTILE = "[codecarbon]\nlog_level = debug\nsave_to_file = true\nforce_cpu_power = 9000\noutput_dir = {}\npue = 50\n"


def burners(f0: F0) -> None:
    code = BURN.replace("\n", "\n      ")
    f0.recipe(
        "steps:\n  - name: s\n    foreach:\n      n:\n        range: 1..4\n    outputs: o/${{ n }}\n"
        f"    run: |\n      {sys.executable} -S -c '\n      {code}\n      '\n      touch ${{{{ outputs }}}}\n"
    )


def run(f0: F0, about: dict[str, Any], *args: str, env: dict[str, str] | None = None) -> tuple[Result, float]:
    """`f0make run` in a world of counters, and how long it took."""
    words = [*command(), "run", "recipe.yaml", "--json", *args]
    began = time.monotonic()
    done = subprocess.run(
        world({"watts": WATTS, **about}, *words),
        cwd=f0.workspace,
        env=f0.environment(env),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    took = time.monotonic() - began
    assert done.returncode == 0, done.stderr
    return Result(0, done.stdout, done.stderr, [json.loads(line) for line in done.stdout.splitlines()]), took


def check_the_parts(result: Result) -> float:
    """The parts are the whole; the whole in joules."""
    whole = result.summary
    parts = sum(e["energy_kwh"] for e in result.events if e.get("status") == "ran")
    assert parts + whole["energy_overhead_kwh"] == pytest.approx(whole["energy_kwh"], rel=0.05)
    assert 0 < parts < whole["energy_kwh"]
    return float(whole["energy_kwh"] * 3.6e6)


def test_codecarbon_measures_and_nothing_from_outside_reaches_it(f0: F0, tmp_path: Path) -> None:
    burners(f0)
    home, spy = tmp_path / "home", tmp_path / "network"
    home.mkdir()
    (home / ".codecarbon.config").write_text(HOSTILE.format(home))
    f0.write(".codecarbon.config", HOSTILE.format(f0.workspace))
    (tmp_path / "site" / "sitecustomize.py").parent.mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(SPY)
    hostile = {
        "HOME": str(home),
        "SPY": str(spy),
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), f0.environment()["PYTHONPATH"]]),
        "CODECARBON_LOG_LEVEL": "debug",
        "CODECARBON_FORCE_CPU_POWER": "9000",
        "CODECARBON_SAVE_TO_FILE": "true",
        "CODECARBON_SAVE_TO_API": "true",
        "CODECARBON_OUTPUT_METHODS": "csv,api",
        "CODECARBON_TRACKING_MODE": "process",
    }
    result, took = run(f0, {}, "-j1", "--energy", "--country=FRA", env=hostile)
    assert result.summary["energy_method"] == "CodeCarbon (RAPL)"
    # The packages' counter runs at WATTS; CodeCarbon adds a constant for the memory of the machine.
    assert 0.6 * WATTS * result.summary["seconds"] < check_the_parts(result) < (WATTS + 100) * took
    assert result.summary["carbon_intensity"] == pytest.approx(56, rel=0.5)
    assert "odecarbon" not in result.stderr.lower().replace(str(f0.workspace).lower(), "")
    assert sorted(p.name for p in f0.workspace.iterdir()) == [
        ".codecarbon.config",
        ".f0make",
        "o",
        "recipe.yaml",
    ]
    # The key that binds f0make's derived state to its user is f0make's own.
    assert {p.name for p in home.rglob("*") if p.is_file()} <= {".codecarbon.config", "state.key"}
    assert not spy.exists(), spy.read_text()
    assert not [p for p in psutil.process_iter(["cwd"]) if p.info["cwd"] == str(f0.workspace)]


def test_what_watches_the_network_would_see_it(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(SPY)
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "SPY": str(tmp_path / "network")}
    code = "import socket\ntry: socket.create_connection(('127.0.0.1', 1), 1)\nexcept OSError: pass"
    subprocess.run([sys.executable, "-c", code], env=env, check=True)
    assert "127.0.0.1" in (tmp_path / "network").read_text()


def test_without_what_codecarbon_needs_the_counter_itself_is_read(f0: F0) -> None:
    burners(f0)
    result, took = run(f0, {"codecarbon": False}, "--energy")
    assert result.summary["energy_method"] == "RAPL"
    assert "Intel RAPL files not found" in result.stderr
    assert 0.6 * WATTS * result.summary["seconds"] < check_the_parts(result) < WATTS * took * 1.05


def test_a_short_run_inside_a_budget_does_not_wait_for_codecarbon(f0: F0) -> None:
    burners(f0)
    result, took = run(f0, {}, "--max-energy=1kWh")
    assert result.summary["energy_method"] == "RAPL"
    assert 0.6 * WATTS * result.summary["seconds"] < check_the_parts(result) < WATTS * took * 1.05


def test_a_counter_that_goes_in_the_middle_leaves_it_to_the_model(f0: F0) -> None:
    burners(f0)
    result, _ = run(f0, {"gone": "o/1"}, "-j1", "--energy")
    assert result.summary["energy_method"].startswith("CodeCarbon (RAPL), then model") or result.summary[
        "energy_method"
    ].startswith("RAPL, then model")
    assert "counters are gone" in result.stderr
    check_the_parts(result)


def test_a_counter_that_goes_back_is_no_energy(f0: F0) -> None:
    burners(f0)
    result, took = run(f0, {"back": True, "after": 2.5}, "-j1", "--energy")
    assert check_the_parts(result) < (WATTS + 100) * took, "CodeCarbon alone would add its whole range"


THREADS = """
import threading, time
from f0make.governor.choose_meter import choose
from f0make.governor.energy_model import here
import os
meter = choose(here(), lambda: sum(os.times()[:2]), 56.0, "FRA")
end = time.monotonic() + 20
while "CodeCarbon" not in meter.method and time.monotonic() < end: time.sleep(0.05)
seen = set()
end = time.monotonic() + 1.5
while time.monotonic() < end:
    seen.update(t.name for t in threading.enumerate())
    time.sleep(0.01)
before = meter.read()[1]
after = meter.stop()[1]
print(sorted(seen), meter.method, after >= before > 0, [t.name for t in threading.enumerate()])
"""


def test_codecarbon_has_one_thread_and_leaves_none(f0: F0) -> None:
    done = subprocess.run(
        world({"watts": WATTS}, sys.executable, "-c", THREADS),
        env=f0.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "['MainThread', 'codecarbon'] CodeCarbon (RAPL) True ['MainThread']\n", done.stderr
