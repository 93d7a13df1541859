"""`python -m bench [--quick] [--install] [--update] [CASE …]`: run the measurements and write bench/RESULTS.md."""

from __future__ import annotations

import argparse
import re
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import peers
from bench.cases import change, cold, engines, governor, growth, makespan, noop, plan, remote, start, zipapp
from bench.measure import machine
from bench.setting import Setting
from bench.table import HEAD, Row

HERE = Path(__file__).parent
Case = Callable[[Setting], Iterator[Row]]

CASES: dict[str, Case] = {
    "start": start.start,
    "zipapp": zipapp.zipapp,
    "noop": noop.noop,
    "change": change.change,
    "cold": cold.cold,
    "governor": governor.governor,
    "python": cold.python_steps,
    "plan": plan.plan,
    "validate": plan.validate,
    "makespan": makespan.makespan,
    "growth": growth.growth,
    "chain": cold.long_chain,
    "remote": remote.remote,
    "engines": engines.engines,
}


def main() -> int:
    """Measure, print the table as it grows, and publish it."""
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("--quick", action="store_true", help="small sizes and few rounds: under 3 minutes")
    parser.add_argument("--install", action="store_true", help="first install the peers into bench/.peers")
    parser.add_argument(
        "cases", nargs="*", choices=[[], *CASES], help="only these (RESULTS.md stays as it is)"
    )
    parser.add_argument(
        "--update",
        action="store_true",
        help="put the rows of these cases into RESULTS.md, if it is of this machine",
    )
    chosen = parser.parse_args()
    f0make = Path(sysconfig.get_path("scripts")) / "f0make"
    if not f0make.exists():
        print("bench: f0make is not installed beside this Python: use `make bench`", file=sys.stderr)
        return 2
    if chosen.install:
        peers.install(peers.QUICK if chosen.quick else peers.PACKAGES)
    rows: list[Row] = []
    setting = Setting(str(f0make), Path(tempfile.mkdtemp(prefix="f0make-bench-")), chosen.quick)
    began, took = time.monotonic(), dict[str, float]()
    try:
        for name in chosen.cases or CASES:
            since = time.monotonic()
            for row in CASES[name](setting):
                if chosen.quick:
                    row.bar = row.goal = None  # They are for the full sizes.
                rows.append(row)
                print(row.text(), flush=True)
            took[name] = time.monotonic() - since
    finally:
        setting.close()
    each = ", ".join(f"{name} {seconds:.0f}" for name, seconds in took.items())
    print(f"{time.monotonic() - began:.0f} s ({each})")
    if chosen.quick:
        print("quick sizes: RESULTS.md stays as it is")
    elif not chosen.cases:
        publish([row.markdown() for row in rows])
    elif chosen.update:
        return update(rows)
    return 0


def update(rows: list[Row]) -> int:
    """Put ``rows`` in the place of those that measured the same, on this machine with these versions."""
    old = (HERE / "RESULTS.md").read_text().splitlines()
    if _without_load(setup()) not in map(_without_load, old):
        print(
            "bench: RESULTS.md is of another machine, or of other versions: nothing was written",
            file=sys.stderr,
        )
        return 2
    kept = {line.split(" | ")[0]: line for line in old[old.index(HEAD.splitlines()[1]) + 1 :] if line}
    for row in rows:
        kept[row.markdown().split(" | ")[0]] = row.markdown()
    publish(list(kept.values()))
    return 0


def _without_load(text: str) -> str:
    return re.sub(r", load [0-9.]+ at the end", "", text)


def setup() -> str:
    """The line that says on what was measured."""
    return f"{machine()}; Python {sys.version.split()[0]}; {peers.versions()}."


def publish(rows: list[str]) -> None:
    """Write RESULTS.md."""
    lines = [
        "# Measurements",
        "",
        "Whole processes, alternately in one run after a warm-up, medians of pairwise ratios; every timed run's",
        "outputs and number of executed steps were checked. A measure is `missed` when it does not reach its bar.",
        "",
        setup(),
        "",
        HEAD,
        *rows,
        "",
    ]
    (HERE / "RESULTS.md").write_text("\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
