"""One round: a run over three hosts while things break; then all must be right, and nothing left over."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

from tests.support import real_runs
from tests.support.sshd.client import Client
from tests.support.sshd.host import Host
from tests.support.sshd.proxy import Proxy

from .trouble import TROUBLES, Place
from .world import FILES, SIZE, expected

LONGEST = 90.0
"""Seconds after which a run counts as hanging."""
LEASE = 2.0
LAST = 12
"""How many events of a run that hangs are shown, beside those about hosts."""


class Chaos:
    """A workspace in ``place`` and three hosts. Raises AssertionError, naming the seed. Close it."""

    def __init__(self, place: Path, seed: int) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.workspace = place / "workspace"
        self.aside = place / "aside"
        for directory in (self.workspace, self.aside):
            directory.mkdir(parents=True)
        for name, text in FILES.items():
            path = self.workspace / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        self.client = Client(place)
        self.places: list[Place] = []
        self.round = 0
        self.happened: Counter[str] = Counter()
        self.history: list[str] = []
        try:
            for n in (1, 2, 3):
                host = Host(f"h{n}", self.client.public, below=place)
                self.places.append(Place(host, Proxy(host)))
        except BaseException:
            self.close()
            raise
        ways = [one.way for one in self.places]
        self.client.trust(*ways)
        self.hosts = self.client.hosts_file(
            self.aside / "hosts.yaml", *[self.client.item(way, slots=3) for way in ways]
        )

    def close(self) -> None:
        for one in self.places:
            one.way.close()
            one.host.close()
        self.client.close()

    # A run

    def start(self) -> subprocess.Popen[str]:
        """Start a run in a session of its own."""
        self.jobs = self.random.choice((0, 0, 1))
        words = ["run", "recipe.yaml", "--json", "--hosts", str(self.hosts), f"-j{self.jobs}"]
        words += ["--lease", f"{LEASE}s", "--connect-timeout", "3s", "--reconnect", "30s"]
        env = {"HOME": str(self.client.home), "F0_CHAOS": str(self.aside)}
        return real_runs.start(words, self.workspace, self.aside, env, self.client.prefix)

    # A round

    def one(self) -> None:
        """One round."""
        self.round += 1
        self.history = []
        text = f"input {self.round} of {self.seed}\n"
        (self.workspace / "in.txt").write_text(text)
        offset = self.log_size()
        safe: set[str] = set()
        self.killed_here = False
        for _ in range(2 if self.random.random() < 0.3 else 1):
            process = self.start()
            killed = self.rage(process)
            code = self.wait(process)
            self.history.append(f"exit code {code}")
            if killed:
                self.killed_here |= bool(self.jobs)
                self.whole(text)
            elif code == 5 and self.refused():
                pass  # At the start no host answered in time: that is how it is to end.
            elif code != 0:
                self.fail(f"exit code {code}: {(self.aside / 'errors').read_text()}")
            ran = [str(e["step"]) for e in real_runs.step_events(self.aside) if e["status"] == "ran"]
            if len(ran) != len(set(ran)):
                self.fail(f"announced twice: {[name for name, n in Counter(ran).items() if n > 1]}")
            safe |= set(ran)
            self.quiet()
        self.finish(text, safe, offset)

    def rage(self, process: subprocess.Popen[str]) -> bool:
        """Break things until the run has ended; returns whether f0make itself was killed."""
        repairs: list[threading.Timer] = []
        kill = self.random.random() < 0.3
        doom = time.monotonic() + self.random.uniform(0.2, 4.0)
        troubled: set[int] = set()
        began = time.monotonic()
        try:
            while process.poll() is None:
                if kill and time.monotonic() > doom:
                    os.killpg(process.pid, signal.SIGKILL)
                    self.happened["kill f0make"] += 1
                    self.history.append("killed f0make")
                    return True
                if time.monotonic() - began > LONGEST:
                    self.hangs(process)
                time.sleep(self.random.uniform(0.05, 0.8))
                index = self.random.randrange(3)
                if index in troubled or time.monotonic() - began > 20:
                    continue  # One trouble a host at a time, and an end to it.
                harm, mend = self.random.choice(TROUBLES)
                place = self.places[index]
                harm(place)
                self.happened[harm.__name__] += 1
                self.history.append(f"{time.monotonic() - began:.2f} {harm.__name__} h{index + 1}")
                troubled.add(index)

                def repair(index: int = index, mend: object = mend) -> None:
                    mend(self.places[index])  # type: ignore[operator]
                    troubled.discard(index)

                repairs.append(threading.Timer(self.random.choice((0.3, 1.0, LEASE + 1.5)), repair))
                repairs[-1].start()
            return False
        finally:
            for timer in repairs:
                timer.join()
            for (
                place
            ) in self.places:  # What was to be flipped in bytes that never came is not for the next run.
                place.way.corrupt("sent", -1)
                place.way.corrupt("received", -1)

    def refused(self) -> bool:
        """Whether the last run said that a host was left out."""
        return '"left-out"' in (self.aside / "events").read_text()

    def wait(self, process: subprocess.Popen[str]) -> int:
        try:
            return process.wait(LONGEST)
        except subprocess.TimeoutExpired:
            self.hangs(process)
        raise AssertionError

    def hangs(self, process: subprocess.Popen[str]) -> None:
        """End the run, and fail with where each of its threads was, and with what it said last."""
        real_runs.end(process)
        lines = (self.aside / "events").read_text().splitlines()
        said = [line for line in lines[:-LAST] if '"host"' in line[:20]] + lines[-LAST:]
        about = []
        for one in self.places:
            running = {pid: words[:40] for pid, words in one.host.processes().items()}
            about.append(f"{one.host.name} runs {running}")
        errors = (self.aside / "errors").read_text()
        self.fail("the run hangs\n" + "\n".join([*said, *about]) + f"\n{errors}")

    def finish(self, text: str, safe: set[str], offset: int) -> None:
        """The run after the trouble: everything right, nothing that counted is undone, one record for each."""
        process = self.start()
        if self.wait(process):
            self.fail(f"after the trouble: {process.returncode}: {(self.aside / 'errors').read_text()}")
        self.quiet()
        found, wanted = self.outputs(), expected(text)
        if self.killed_here:
            # What a step that was killed here had made beside its outputs is nobody's, when it ran again elsewhere.
            found = {name: value for name, value in found.items() if not name.endswith(".aside")}
        if found != wanted:
            wrong = sorted(k for k in {*found, *wanted} if found.get(k) != wanted.get(k))
            self.fail("wrong: " + "; ".join(f"{k}: {found.get(k, '-')[:99]!r}" for k in wrong))
        undone = {
            str(e["step"])
            for e in real_runs.step_events(self.aside)
            if e["step"] in safe and e["status"] == "ran"
        }
        if undone:
            self.fail(f"had been announced as ran, and ran again: {sorted(undone)}")
        count = self.recorded(offset)
        if len(count) != SIZE or set(count.values()) != {1}:
            self.fail(f"{len(count)} records, twice: {[name for name, n in count.items() if n > 1]}")
        if (self.workspace / ".f0make/displaced").exists():
            self.fail("something was taken for a file of the user's")
        left = sorted(p.name for p in self.workspace.iterdir())
        if left != sorted([".f0make", "in.txt", "out", *{Path(name).parts[0] for name in FILES}]):
            self.fail(f"files were left behind: {left}")

    # Looking

    def log_size(self) -> int:
        log = self.workspace / ".f0make/records.log"
        return log.stat().st_size if log.exists() else 0

    def recorded(self, offset: int) -> Counter[str]:
        """Records of successes in the log since ``offset``, by instance."""
        with open(self.workspace / ".f0make/records.log", "rb") as file:
            file.seek(offset)
            lines = file.read().splitlines()
        return Counter(json.loads(line[16:])["instance"] for line in lines if line[9:16] == b"record ")

    def whole(self, text: str) -> None:
        """f0make was killed: what is there is whole, or from the round before; where steps ran here it may be half."""
        if self.jobs:
            return
        wanted, before = expected(text), expected(f"input {self.round - 1} of {self.seed}\n")
        for name, value in self.outputs().items():
            if value not in (wanted.get(name), before.get(name)):
                self.fail(f"partial after a kill: {name}: {value[:99]!r}")

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
            elif not any(path.iterdir()):
                found[name] = "/"
        return found

    def quiet(self) -> None:
        """Nothing runs any more, here or there."""
        for one in self.places:
            left = one.host.quiet(LEASE + 4.0)
            if left:
                self.fail(f"left running at {one.host.name}: {left}")
            if not any("kill" in what for what in self.history):
                # An agent that was killed leaves its directory for the next one to clear away.
                private = [p for p in one.host.workdir.rglob("out/part") if p.is_dir()]
                if private:
                    self.fail(f"a step's directory was left at {one.host.name}: {private}")
        mark = f"F0_CHAOS={self.aside}\0".encode()
        until = time.monotonic() + 3.0
        while True:
            here = [p for p in os.listdir("/proc") if p.isdigit() and mark in _environ(p)]
            if not here:
                return
            if time.monotonic() > until:
                self.fail(f"left running here: {here}")
            time.sleep(0.02)

    def fail(self, why: str) -> None:
        raise AssertionError(
            f"round {self.round} of the chaos with seed {self.seed} ({'; '.join(self.history)}): {why}"
        )


def _environ(pid: str) -> bytes:
    try:
        return Path("/proc", pid, "environ").read_bytes()
    except OSError:
        return b""


def chaos(place: Path, rounds: int, seed: int) -> Counter[str]:
    """Run ``rounds`` rounds in the empty directory ``place``; returns what happened how often."""
    one = Chaos(place, seed)
    try:
        for _ in range(rounds):
            one.one()
        return one.happened
    finally:
        one.close()
        shutil.rmtree(place / "aside", ignore_errors=True)
