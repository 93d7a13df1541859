"""`python -m bench.scale [N]`: the run loop at N instances over 1,000 workers, with a backend that only pretends.

Real: the recipe reader, the expansion, the graph, the store with its log, the decider, the scheduler, and the loop
(`f0make.engine.run.Run`). Imagined: the commands and the files that they would have made. The loop is measured, not
what it waits for, so a worker's answer is there as soon as it was given something to do. See docs/scale.md.
"""

from __future__ import annotations

import argparse
import contextlib
import cProfile
import hashlib
import os
import pstats
import resource
import shutil
import tempfile
import time
from pathlib import Path

from f0make.backends.base import BareBackend, Capabilities, Tell
from f0make.engine.assemble import Means, assemble
from f0make.engine.label_check import Places
from f0make.files.content_cache import Contents
from f0make.files.signature import Signature
from f0make.governor.base import NullGovernor
from f0make.options import RunOptions, Silent
from f0make.session import Session
from f0make.worker.bundle import Bundle, Outcome

WORKERS = 1000

SHAPES = {
    "pairs": """\
steps:
  - name: make
    foreach:
      n:
        range: 1..{half}
    inputs: seed.txt
    outputs: raw/${{{{ n }}}}.txt
    run: make ${{{{ n }}}}
  - name: use
    foreach:
      n:
        range: 1..{half}
    inputs: raw/${{{{ n }}}}.txt
    outputs: done/${{{{ n }}}}.txt
    run: use ${{{{ inputs }}}} ${{{{ outputs }}}}
""",
    "wide": """\
steps:
  - name: make
    foreach:
      n:
        range: 1..{all}
    outputs: raw/${{{{ n }}}}.txt
    run: make ${{{{ n }}}}
""",
}
"""Recipes of N instances: half of them read what the other half makes, or none reads anything."""


class ImaginedContents(Contents):
    """Files exist as soon as an outcome says so; nobody looks at a disk."""

    def token(self, path: str) -> str | None:
        """The token that was learned for ``path``."""
        row = self._asked.get(path)
        return row[1] if row is not None else "0" * 64 if path == "seed.txt" else None

    def signature(self, path: str) -> Signature | None:
        """As `lstat` would say."""
        row = self._asked.get(path)
        return row[0] if row is not None else None


class Pretending(BareBackend):
    """A backend whose workers are done at once; they answer when `WORKERS` are busy, or the loop has nothing else."""

    capabilities = Capabilities()
    slots = WORKERS

    def start(self, tell: Tell) -> None:
        """Remember whom to tell."""
        self._tell = tell

    def submit(self, bundle: Bundle) -> None:
        """A worker takes ``bundle``, and is done with it."""
        outcome = Outcome(bundle.token, True, exit_code=0, started=time.time(), stored=True, host="worker")
        outcome.seconds = outcome.cpu_seconds = 1.0
        for number, (path, _) in enumerate(bundle.outputs):
            outcome.outputs[path] = hashlib.sha256(path.encode()).hexdigest()
            outcome.signatures[path] = (number, 1, 1, number + 1, 0o100644, 2)
        self._tell(outcome)

    def kill(self, token: str) -> None:
        """Nothing runs."""

    def go_on(self) -> None:
        """Nothing fails."""

    def recall(self) -> None:
        """Nothing waits."""

    def placed(self) -> dict[str, tuple[int, bool]]:
        """Nothing runs."""
        return {}

    def stop(self, grace: float) -> None:
        """Nothing runs."""


def memory() -> float:
    """Resident memory of this process in MB, now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def simulate(shape: str, size: int, place: Path, profile: bool = False) -> dict[str, float]:
    """Run ``size`` instances of ``shape`` in ``place``; what it took, by name."""
    (place / "recipe.yaml").write_text(SHAPES[shape].format(half=size // 2, all=size))
    (place / "seed.txt").write_text("seed\n")
    before, began = memory(), time.perf_counter()
    options = RunOptions(workspace=str(place), jobs=WORKERS)
    session = Session.open("recipe.yaml", options, readonly=False)
    session.contents = ImaginedContents(str(place))
    opened, graph = time.perf_counter(), memory()
    backend = Pretending()
    means = Means(
        run_id="simulated",
        jobs=WORKERS,
        hosts=(),
        backend=lambda: backend,
        places=Places,
        blobs=None,
        shared=None,
        governor=NullGovernor(),
    )
    run = assemble(session, options, Silent(), means)
    run.outputs.clear = _clear  # type: ignore[method-assign]
    cpu, start = time.process_time(), time.perf_counter()
    profiler = cProfile.Profile() if profile else contextlib.nullcontext()
    with profiler:
        run.run()
    ended = time.perf_counter()
    spent = time.process_time() - cpu
    results = run.state.results
    ran = sum(results.counts.values())
    assert ran == size and set(results.steps.values()) == {"ran"}, results.counts
    session.close()
    if isinstance(profiler, cProfile.Profile):
        pstats.Stats(profiler).sort_stats("tottime").print_stats(35)
    return {
        "instances": size,
        "open s": opened - began,
        "open MB": graph - before,
        "loop s": ended - start,
        "completions/s": ran / (ended - start),
        "CPU us each": 1e6 * spent / ran,
        "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        "log MB": (place / ".f0make" / "records.log").stat().st_size / 1e6,
    }


def _clear(outputs: object, here: bool = True) -> None:
    """No file is there to be cleared away."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.scale")
    parser.add_argument("sizes", nargs="*", type=int, default=[10_000, 100_000])
    parser.add_argument("--shape", choices=SHAPES, default="pairs")
    parser.add_argument("--profile", action="store_true")
    chosen = parser.parse_args()
    for size in chosen.sizes:
        place = Path(tempfile.mkdtemp(prefix="f0make-scale-"))
        try:
            found = simulate(chosen.shape, size, place, chosen.profile)
        finally:
            shutil.rmtree(place, ignore_errors=True)
        print(chosen.shape, "  ".join(f"{name} {value:,.1f}" for name, value in found.items()), flush=True)


if __name__ == "__main__":
    main()
