"""What budgets cost a run that stays far inside of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bench.measure import alternately
from bench.setting import JOBS, Setting, counted
from bench.table import Row
from bench.workloads import Workload

ALL = (
    "--max-cpu=100%",
    "--max-mem=8GB",
    "--max-load=1000",
    "--max-time=1h",
    "--max-energy=1kWh",
    "--max-carbon=1kg",
    "--country=FRA",
)


def governor(setting: Setting) -> Iterator[Row]:
    """Small steps with every budget set, against the same without any."""
    work = Workload("flat", 300 if setting.quick else 1_000)
    without = setting.prepared(work, ())["f0make"]
    without = replace(without, before=setting.fresh(without.place), after=counted(ran=work.size))
    within = replace(without, argv=[*without.argv, *ALL])
    ours, theirs = alternately([within, without], setting.few)
    yield Row(f"cold, flat of {work.size:,} `cp`, -j{JOBS}, all budgets / none", ours, theirs, 1.15, 1.05)
    setting.done(work)
