"""Shapes of real scientific workflows, after the WfCommons generators, with sleeps in the place of their work.

Task types and their proportions of run time follow the instances published by WfCommons (Coleman et al.,
"WfCommons: A framework for enabling scientific workflow research and development", FGCS 2022): Montage,
Epigenomics and 1000Genome. Times are scaled to fractions of a second and drawn with a fixed seed.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Workflow:
    """Tasks with names, seconds, and the indexes of the tasks that each needs."""

    name: str
    tasks: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    needs: list[list[int]] = field(default_factory=list)
    _random: random.Random = field(default_factory=lambda: random.Random(7))

    def add(self, kind: str, mean: float, needs: Sequence[int] = ()) -> int:
        """One more task of about ``mean`` seconds; its index."""
        self.tasks.append(f"{kind}_{len(self.tasks)}")
        self.seconds.append(round(mean * self._random.uniform(0.6, 1.4), 3))
        self.needs.append(list(needs))
        return len(self.tasks) - 1


def montage(images: int = 12) -> Workflow:
    """Projections, overlaps, one background model, corrections, one mosaic."""
    flow = Workflow("Montage")
    project = [flow.add("mProject", 0.5) for _ in range(images)]
    overlaps = [
        flow.add("mDiffFit", 0.05, (project[a], project[b]))
        for a in range(images)
        for b in range(a + 1, min(a + 4, images))
    ]
    fit = flow.add("mConcatFit", 0.2, overlaps)
    model = flow.add("mBgModel", 0.4, (fit,))
    corrected = [flow.add("mBackground", 0.05, (p, model)) for p in project]
    table = flow.add("mImgtbl", 0.1, corrected)
    mosaic = flow.add("mAdd", 0.6, (table,))
    flow.add("mViewer", 0.3, (mosaic,))
    return flow


def epigenomics(lanes: int = 3, chunks: int = 10) -> Workflow:
    """For each lane: split, four filters in a row for each chunk, merge; then an index and a pileup."""
    flow = Workflow("Epigenomics")
    merged = []
    for _ in range(lanes):
        split = flow.add("fastqSplit", 0.1)
        ends = []
        for _ in range(chunks):
            last = split
            for kind, mean in (
                ("filterContams", 0.05),
                ("sol2sanger", 0.03),
                ("fast2bfq", 0.03),
                ("map", 0.6),
            ):
                last = flow.add(kind, mean, (last,))
            ends.append(last)
        merged.append(flow.add("mapMerge", 0.15, ends))
    total = flow.add("mapMerge", 0.2, merged)
    flow.add("pileup", 0.3, (flow.add("maqIndex", 0.2, (total,)),))
    return flow


def genome(chromosomes: int = 4, individuals: int = 10, populations: int = 5) -> Workflow:
    """For each chromosome: extracted individuals, merged; sifting; overlaps and frequencies by population."""
    flow = Workflow("1000Genome")
    for _ in range(chromosomes):
        merge = flow.add("individuals_merge", 0.2, [flow.add("individuals", 0.4) for _ in range(individuals)])
        sifting = flow.add("sifting", 0.3)
        for _ in range(populations):
            flow.add("mutation_overlap", 0.15, (merge, sifting))
            flow.add("frequency", 0.5, (merge, sifting))
    return flow


def write(flow: Workflow, place: Path) -> None:
    """`recipe.yaml` and `build.ninja`."""
    place.mkdir(parents=True, exist_ok=True)
    recipe = ["steps:"]
    ninja = ["rule work", "  command = sleep $seconds && touch $out"]
    for name, seconds, needs in zip(flow.tasks, flow.seconds, flow.needs, strict=True):
        read = [f"out/{flow.tasks[n]}" for n in needs]
        recipe.append(f"  - name: {name}")
        if read:
            recipe += ["    inputs:", *(f"      - {path}" for path in read)]
        recipe += [f"    outputs: out/{name}", f"    run: sleep {seconds} && echo {name} > out/{name}"]
        ninja += [f"build out/{name}: work {' '.join(read)}", f"  seconds = {seconds}"]
    (place / "recipe.yaml").write_text("\n".join(recipe) + "\n")
    (place / "build.ninja").write_text("\n".join(ninja) + "\n")


def best_makespan(flow: Workflow, jobs: int, tries: int = 300) -> float:
    """Seconds of the best list schedule found: critical path first, and random orders around it."""
    chooser = random.Random(11)
    count = len(flow.tasks)
    users: list[list[int]] = [[] for _ in range(count)]
    for task, needs in enumerate(flow.needs):
        for need in needs:
            users[need].append(task)
    level = [0.0] * count
    for task in reversed(range(count)):
        level[task] = flow.seconds[task] + max((level[user] for user in users[task]), default=0.0)
    best = _simulate(flow, users, level, jobs)
    for _ in range(tries):
        best = min(best, _simulate(flow, users, [v * chooser.uniform(0.8, 1.2) for v in level], jobs))
    return best


def _simulate(flow: Workflow, users: list[list[int]], urgency: list[float], jobs: int) -> float:
    waiting = [len(needs) for needs in flow.needs]
    ready = [task for task, count in enumerate(waiting) if not count]
    running: list[tuple[float, int]] = []
    now = 0.0
    while ready or running:
        ready.sort(key=urgency.__getitem__)
        while ready and len(running) < jobs:
            task = ready.pop()
            running.append((now + flow.seconds[task], task))
        running.sort(reverse=True)
        now, ended = running.pop()
        for user in users[ended]:
            waiting[user] -= 1
            if not waiting[user]:
                ready.append(user)
    return now
