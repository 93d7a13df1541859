"""How long whole workflows take with eight jobs, against ninja and against the best schedule found."""

from __future__ import annotations

from collections.abc import Iterator

from bench import peers, workflows
from bench.measure import Command, Timing, alternately, once
from bench.setting import Setting, counted
from bench.table import Row

JOBS = 8


def makespan(setting: Setting) -> Iterator[Row]:
    """The first run against ninja's; the second, when durations are known, against the best list schedule."""
    flows = [workflows.montage(), workflows.epigenomics(), workflows.genome()]
    for flow in flows[:1] if setting.quick else flows:
        place = setting.place / flow.name
        size = len(flow.tasks)
        argv = setting.argv("f0make", JOBS)
        assert argv is not None
        commands = []
        for tool, words in (("f0make", argv), ("ninja", peers.argv("ninja", JOBS))):
            if words is not None:
                workflows.write(flow, place / tool)
                commands.append(Command(tool, words, place / tool, setting.fresh(place / tool)))
        commands[0].after = counted(ran=size)
        timings = alternately(commands, 1 if setting.quick else 3, warm=0)
        if len(commands) > 1:
            label = f"{flow.name}, {size} tasks, -j{JOBS}, first run / ninja's"
            yield Row(label, timings[0], timings[1], 1.15, 1.0)
        best = workflows.best_makespan(flow, JOBS)
        # Everything again, with the durations of the first run known: each command is a little different.
        recipe = place / "f0make" / "recipe.yaml"
        recipe.write_text(recipe.read_text().replace("run: sleep", "run: exec 2>&1; sleep"))
        second = once(Command("f0make", argv, place / "f0make", lambda: None, counted(ran=size)))
        yield Row(
            f"{flow.name}, second run / best list schedule found",
            Timing([second]),
            Timing([best]),
            1.10,
            1.05,
        )
