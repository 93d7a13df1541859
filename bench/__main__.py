"""`python -m bench [--quick] [CASE …]`: run the measurements and write bench/RESULTS.md."""

from __future__ import annotations

import argparse
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench import cases
from bench.measure import machine

HERE = Path(__file__).parent
Case = Callable[[cases.Setting], list[cases.Row]]

CASES: dict[str, Case] = {
    "start": cases.start,
    "noop": cases.noop,
    "cold": cases.cold,
    "validate": cases.validate,
}


def main() -> int:
    """Measure, print the table as it grows, and publish it."""
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("--quick", action="store_true", help="small sizes and few rounds: under 3 minutes")
    parser.add_argument("cases", nargs="*", choices=[[], *CASES], help="only these")
    chosen = parser.parse_args()
    f0make = Path(sysconfig.get_path("scripts")) / "f0make"
    if not f0make.exists():
        print("bench: f0make is not installed beside this Python: use `make bench`", file=sys.stderr)
        return 2
    rows: list[cases.Row] = []
    place = Path(tempfile.mkdtemp(prefix="f0make-bench-"))
    try:
        setting = cases.Setting(str(f0make), place, chosen.quick)
        for name in chosen.cases or CASES:
            for row in CASES[name](setting):
                rows.append(row)
                print(row.text(), flush=True)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    if not chosen.cases:
        publish(rows, chosen.quick)
    return 0


def publish(rows: list[cases.Row], quick: bool) -> None:
    """Write RESULTS.md."""
    lines = [
        "# Measurements",
        "",
        "Whole processes, alternately in one run, medians of pairwise ratios; each run's work was checked.",
        f"{'Quick sizes. ' if quick else ''}{machine()}; Python {sys.version.split()[0]}; {cases.versions()}.",
        "",
        "| measure | f0make (s) | peer (s) | ratio |",
        "| --- | --- | --- | --- |",
        *[row.markdown() for row in rows],
        "",
    ]
    (HERE / "RESULTS.md").write_text("\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
