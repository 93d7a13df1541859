"""Runs a command where /sys/class/powercap shows counters of our own making: `python power_world.py JSON COMMAND…`.

JSON: ``watts`` at which the counter goes up, ``codecarbon`` (whether the tree has what CodeCarbon looks for), ``gone``:
the file (in the current directory) with which the counter goes; ``back``: it is back at nothing, from ``after`` seconds
on. Needs a mount namespace of its own, see `within`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

POWERCAP = Path("/sys/class/powercap")
RANGE = 262_143_328_850
"""Microjoules at which a counter wraps around: what Intel's packages have."""


def within() -> list[str] | None:
    """The words before a command that give it namespaces of its own; None where that is not allowed."""
    for words in (["unshare", "-m", "-n"], ["unshare", "-r", "-m", "-n"]):
        try:
            tried = subprocess.run([*words, "true"], capture_output=True, check=False)
        except OSError:
            return None
        if not tried.returncode:
            return words
    return None


def command(about: dict[str, Any], *words: str) -> list[str]:
    """``words`` in a world as ``about`` says, without any network."""
    return [*(within() or []), sys.executable, __file__, json.dumps(about), *words]


class Counter(threading.Thread):
    """Counts like a CPU package, a hundred times a second; it wraps around once, right at the start."""

    def __init__(self, about: dict[str, Any]) -> None:
        super().__init__(daemon=True)
        self.about = about
        self.zone = POWERCAP / "intel-rapl:0"
        self.zone.mkdir(parents=True)
        (self.zone / "name").write_text("package-0\n")
        (self.zone / "max_energy_range_uj").write_text(f"{RANGE}\n")
        self.file = self.zone / "energy_uj"
        self.began = time.monotonic()
        self.file.write_text(self.value())

    def value(self) -> str:
        """What the counter shows now."""
        passed = time.monotonic() - self.began
        if self.about.get("back") and passed > self.about["after"]:
            passed -= self.about["after"]
            return f"{int(passed * self.about['watts'] * 1e6):<20}\n"
        start = RANGE // 2 if self.about.get("back") else RANGE - 1_000_000
        return f"{int(start + passed * self.about['watts'] * 1e6) % RANGE:<20}\n"

    def run(self) -> None:
        """Count."""
        with self.file.open("r+") as file:
            while True:
                if self.about.get("gone") and Path(self.about["gone"]).exists():
                    shutil.rmtree(self.zone)
                    return
                os.pwrite(file.fileno(), self.value().encode(), 0)
                time.sleep(0.01)


def main() -> int:
    """Make the world and run the command in it."""
    about = json.loads(sys.argv[1])
    subprocess.run(["mount", "-t", "tmpfs", "none", "/sys/class"], check=True)
    counter = Counter(about)
    if about.get("codecarbon", True):
        (POWERCAP / "intel-rapl").mkdir()
        (POWERCAP / "intel-rapl" / "subsystem").symlink_to("..")
    counter.start()
    return subprocess.run(sys.argv[2:], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
