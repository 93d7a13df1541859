"""One round of the storm: start a run, kill something at a random moment, run again, compare."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from tests.support import real_runs

from .world import CODE, PROBE, PROBE_CODE, RECIPE, TEMP, expected

VICTIMS = ("main", "main", "group", "worker", "step", "everything")
LONGEST = 60.0
"""Seconds after which a run counts as hanging."""


class Storm:
    """A workspace in ``place`` that is killed again and again. Raises AssertionError, naming the seed."""

    def __init__(self, place: Path, seed: int) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.workspace = place / "workspace"
        self.tools = place / "tools"
        self.runs = 0
        self.round = 0
        self.killed: Counter[str] = Counter()
        self.history: list[str] = []
        """What was done, newest last."""
        for directory in (self.workspace, self.tools):
            directory.mkdir(parents=True)
        (self.tools / "probe.py").write_text(PROBE_CODE)
        (self.workspace / "recipe.yaml").write_text(RECIPE)
        (self.workspace / "stormcode.py").write_text(CODE)
        (self.workspace / "dep.txt").write_text("dep\n")
        self.typical = 0.5
        """Seconds from the first step to the end, about; it follows how often a strike comes too late."""

    def start(self, *options: str) -> subprocess.Popen[str]:
        """Start a run in a process group of its own."""
        self.runs += 1
        self.history.append(f"run {self.runs}")
        shutil.rmtree(self.tools / "first", ignore_errors=True)
        env = {"STORM": str(self.tools), "STORM_PYTHON": sys.executable, "STORM_PROBE": PROBE}
        env["STORM_RUN"] = f"{os.getpid()}-{self.seed}:{self.runs}"
        words = ["run", "recipe.yaml", "--json", "-j4", *options]
        return real_runs.start(words, self.workspace, self.tools, env, [])

    def one(self) -> None:
        """One round."""
        self.round += 1
        text = f"input {self.round}\n"
        (self.workspace / "in.txt").write_text(text)
        options = ("--no-cache",) if self.random.random() < 0.15 else ()
        safe: set[str] = set()
        for _ in range(2 if self.random.random() < 0.3 else 1):
            victim = self.random.choice(VICTIMS)
            process = self.start(*options)
            self.strike(process, victim)
            # A step that was killed may have failed; whatever it is, nothing hangs.
            self.wait(process, f"the run hangs after the {victim} was killed")
            if process.returncode not in (0, 1, -signal.SIGKILL):
                self.fail(f"exit code {process.returncode} after the {victim} was killed")
            safe |= {e["step"] for e in real_runs.step_events(self.tools) if e["status"] == "ran"}
            self.look_for_stale()
        self.finish(text, safe, options)

    def strike(self, process: subprocess.Popen[str], victim: str) -> None:
        """After a random time kill ``victim``, unless the run is over by then."""
        if self.random.random() < 0.2:
            time.sleep(self.random.uniform(0.02, 0.4))  # Somewhere on its way to the first step, perhaps.
        else:
            while process.poll() is None and not (self.tools / "first").exists():
                time.sleep(0.002)
            time.sleep(self.random.uniform(0.0, self.typical))
        if process.poll() is not None:
            self.typical *= 0.85
            self.killed["nothing"] += 1
            return
        self.typical *= 1.05
        pids = [process.pid]
        if victim == "group":
            os.killpg(process.pid, signal.SIGKILL)
            self.killed[victim] += 1
            self.history.append(f"killed group {process.pid}")
            return
        if victim != "main":
            mine = self.marked()
            journals = (self.workspace / ".f0make" / "run").glob("worker-*")
            workers = [p for j in journals if (p := int(j.name[7:])) in mine]
            steps = [p for p in mine if p != process.pid and mine[p][0] != process.pid]
            pids = {"worker": workers, "step": steps, "everything": list(mine)}[victim]
            if victim != "everything":
                pids = [self.random.choice(sorted(pids))] if pids else []
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.killed[victim if pids else "nothing"] += 1
        self.history.append(f"killed {victim} {pids}")

    def marked(self) -> dict[int, tuple[int, str]]:
        """Processes of the run under way: pid -> (parent, command line)."""
        mark = f"STORM_RUN={os.getpid()}-{self.seed}:{self.runs}\0".encode()
        found = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    if mark in Path("/proc", entry, "environ").read_bytes():
                        parent = int(Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()[1])
                        found[int(entry)] = (parent, Path("/proc", entry, "cmdline").read_text())
                except (OSError, ValueError):
                    continue
        return found

    def look_for_stale(self) -> None:
        """No step that was started found a process of a run before."""
        stale = self.tools / "stale"
        if stale.exists():
            self.fail("processes of an older run were alive when a step began:\n" + stale.read_text())

    def finish(self, text: str, safe: set[str], options: tuple[str, ...]) -> None:
        """The run after the kill: no help needed, everything right, nothing that counted is undone."""
        process = self.start(*options)
        self.wait(process, "the run after the kill hangs")
        said = (self.tools / "errors").read_text()
        if process.returncode:
            self.fail(f"the run after the kill ended with {process.returncode}: {said}")
        self.look_for_stale()
        found, wanted = self.outputs(), expected(text)
        if found != wanted:
            wrong = sorted(k for k in {*found, *wanted} if found.get(k) != wanted.get(k))
            self.fail("wrong: " + "; ".join(f"{k}: {found.get(k)!r} is not {wanted.get(k)!r}" for k in wrong))
        undone = {
            e["step"]
            for e in real_runs.step_events(self.tools)
            if e["step"] in safe and e["status"] != "current"
        } - {TEMP}
        if undone:
            self.fail(f"had been announced as ran, and were not current: {sorted(undone)}")
        if (self.workspace / ".f0make/displaced").exists():
            self.fail(f"something was taken for a file of the user's: {said}")
        left = sorted(p.name for p in self.workspace.iterdir())
        if left != [".f0make", "dep.txt", "in.txt", "out", "recipe.yaml", "stormcode.py"]:
            self.fail(f"files were left behind: {left}")
        if self.round % 5 == 0:
            self.quiet()

    def quiet(self) -> None:
        """Nothing is left to do, and no process is left."""
        process = self.start()
        self.wait(process, "a run right after a run hangs")
        states = {e["status"] for e in real_runs.step_events(self.tools)}
        if states != {"current"}:
            self.fail(f"a run right after a run finds {sorted(states)}")
        time.sleep(0.05)
        if self.marked():
            self.fail(f"processes are left: {self.marked()}")

    def outputs(self) -> dict[str, str]:
        """Every file below `out/`, as `world.expected` gives them."""
        root = self.workspace / "out"
        found = {}
        for path in root.rglob("*"):
            name = str(path.relative_to(root))
            if path.is_symlink():
                found[name] = "->" + os.readlink(path)
            elif path.is_file():
                found[name] = path.read_text()
        return found

    def wait(self, process: subprocess.Popen[str], why: str) -> None:
        """Wait for the end of a run; ``why`` and where each of its threads was when it does not come."""
        try:
            process.wait(LONGEST)
        except subprocess.TimeoutExpired:
            real_runs.end(process)
            self.fail(f"{why}\n{(self.tools / 'errors').read_text()}")

    def fail(self, why: str) -> None:
        last = ", ".join(self.history[-6:])
        raise AssertionError(f"round {self.round} of the storm with seed {self.seed} ({last}): {why}")


def storm(place: Path, rounds: int, seed: int) -> Storm:
    """Run ``rounds`` rounds in the empty directory ``place``. Raises AssertionError with the seed in its text."""
    one = Storm(place, seed)
    for _ in range(rounds):
        one.one()
    return one
