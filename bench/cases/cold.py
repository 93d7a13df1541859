"""Everything runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace

from bench import peers, workloads
from bench.measure import Command, Timing, alternately, once
from bench.setting import JOBS, Setting, counted
from bench.table import Row
from bench.workloads import Workload

BARS = {
    ("flat", "ninja"): (1.1, 0.8),
    ("flat", "make"): (1.6, 1.3),
    ("chain", "ninja"): (1.2, 1.0),
    ("flat", "snakemake"): (0.06, 0.04),
}

_PY_STEP = "def square(n: int, out: str) -> None:\n    open(out, 'w').write(str(n * n))\n"

_JOBLIB = (
    "import sys; sys.path.insert(0, '.')\n"
    "from joblib import Parallel, delayed\n"
    "from work import square\n"
    f"Parallel(n_jobs={JOBS}, backend='loky', batch_size=1)(\n"
    "    delayed(square)(n, f'out/{n}.txt') for n in range(SIZE))\n"
)


def cold(setting: Setting) -> Iterator[Row]:
    """`cp` once for each instance."""
    works = [Workload("flat", 1_000), Workload("chain", 300 if setting.quick else 1_000)]
    if not setting.quick:
        works += [Workload("flat", 5_000), Workload("fanin", 1_000), Workload("layers", 1_000)]
    for work in works:
        yield from _against(setting, work, ("ninja", "make"), setting.few)
    if not setting.quick:
        yield from _against(setting, Workload("flat", 300), ("doit", "redun", "snakemake"), 1)


def _against(setting: Setting, work: Workload, tools: tuple[str, ...], rounds: int) -> Iterator[Row]:
    commands = setting.prepared(work, tools)
    timed = [replace(command, before=setting.fresh(command.place)) for command in commands.values()]
    timed[0] = replace(timed[0], after=counted(ran=work.size))
    timings = alternately(timed, rounds)
    for command in timed:
        workloads.check_outputs(work, command.place)
    for command, timing in zip(timed[1:], timings[1:], strict=True):
        bar, goal = BARS.get((work.shape, command.name), (None, None))
        yield Row(
            f"cold, {work.shape} of {work.size:,} `cp`, -j{JOBS} / {command.name}",
            timings[0],
            timing,
            bar,
            goal,
        )
    setting.done(work)


_FRESH = (
    "seq 0 LAST | xargs -P JOBS -I N PYTHON -c \"from work import square; square(N, 'out/N.txt')\"".replace(
        "JOBS", str(JOBS)
    )
)


def python_steps(setting: Setting) -> Iterator[Row]:
    """Small python steps against the same function in joblib's loky, which isolates nothing, and in a Python each."""
    size = 500 if setting.quick else 2_000
    python = peers.python_with("joblib")
    if python is None:
        return
    place = setting.place / "python-steps"
    place.mkdir()
    (place / "work.py").write_text(_PY_STEP)
    (place / "run.py").write_text(_JOBLIB.replace("SIZE", str(size)))
    (place / "recipe.yaml").write_text(
        "steps:\n  - name: square\n    foreach:\n      n:\n"
        f"        range: 0..{size - 1}\n"
        "    module: work\n    function: square\n    args:\n      n: ${{ n }}\n      out: out/${{ n }}.txt\n"
        "    outputs: out/${{ n }}.txt\n"
    )
    fresh = setting.fresh(place)
    fresh()
    argv = setting.argv("f0make")
    assert argv is not None
    each = _FRESH.replace("LAST", str(size - 1)).replace("PYTHON", sys.executable)
    ours, theirs, one_each = alternately(
        [
            Command("f0make", argv, place, fresh, counted(ran=size)),
            Command("joblib", [python, "run.py"], place, fresh),
            Command("python each", ["sh", "-c", each], place, fresh),
        ],
        setting.few,
    )
    assert (place / "out" / "7.txt").read_text() == "49"
    yield Row(f"cold, {size:,} small python steps / joblib (loky)", ours, theirs, 4, 3)
    yield Row(f"cold, {size:,} small python steps / a fresh python each", ours, one_each, 0.25, 0.15)


def long_chain(setting: Setting) -> Iterator[Row]:
    """A chain as long as no recursion could follow."""
    if setting.quick:
        return
    work = Workload("chain", 20_000)
    command = setting.prepared(work, ())["f0make"]
    seconds = once(replace(command, after=counted(ran=work.size)))
    workloads.check_outputs(work, command.place)
    yield Row("cold, chain of 20,000", Timing([seconds]), None, value=seconds, unit="s")
    setting.done(work)
