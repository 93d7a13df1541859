"""What a run that does a plan is predicted to take: duration, energy, carbon; by the rules of `Scheduler.schedule`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from f0make.electricity.intensity import intensity
from f0make.governor import energy_model
from f0make.governor.admit import rest
from f0make.governor.budget import budget_of
from f0make.governor.predict import Need, Predictor

if TYPE_CHECKING:
    from f0make.options import RunOptions
    from f0make.plan.decide import Planned
    from f0make.session import Session

MOST = 2_000
"""Instances that a schedule is simulated for; of more, only the sums are given."""


def forecast(session: Session, planned: Sequence[Planned], options: RunOptions) -> dict[str, Any]:
    """`predicted_seconds` (with its spread), `predicted_energy_kwh` and `predicted_carbon_g` of what will run.

    `predicted_known` counts the instances that a measurement or a declaration speaks for. Raises UsageError
    for a wrong budget.
    """
    from f0make.worker.cores import usable_cores

    budget = budget_of(options, session.recipe)
    power = energy_model.here()
    grams = intensity(budget.country)
    predictor = Predictor(session.store.stats, session.store.step_stats, power.kwh)
    graph = session.graph
    needs = {
        graph.by_name[entry.instance.name]: predictor.need(entry.instance)
        for entry in planned
        if entry.status == "run" and entry.instance.name in graph.by_name
    }
    jobs = options.jobs or usable_cores()
    total = rest(needs.values(), grams, jobs)
    seconds = total["seconds"]
    if 0 < len(needs) <= MOST:
        seconds = _makespan(session, needs, jobs, options)
    kwh = total["energy_kwh"] + power.joules(seconds, 0.0) / energy_model.JOULES_PER_KWH
    spread = sum(need.seconds.spread**2 for need in needs.values()) ** 0.5
    return {
        "predicted_seconds": round(seconds, 3),
        "predicted_seconds_spread": round(min(spread, seconds), 3),
        "predicted_energy_kwh": kwh,
        "predicted_carbon_g": kwh * grams,
        "predicted_known": sum(need.seconds.known for need in needs.values()),
    }


def _makespan(session: Session, needs: dict[int, Need], jobs: int, options: RunOptions) -> float:
    from f0make.scheduler import Scheduler

    graph = session.graph
    steps = []
    for node, need in needs.items():
        before: list[int] = []
        pending = list(graph.needs[node])
        while pending:
            other = pending.pop()
            if other in needs:
                before.append(other)
            elif other in graph.barriers:
                pending += graph.needs[other]
        instance = graph.instances[node]
        steps.append(
            {
                "name": str(node),
                "depends_on": [str(n) for n in dict.fromkeys(before)],
                "seconds": max(need.seconds.value, 1e-6),
                "resources": {k: min(v, jobs) if k == "cpu" else v for k, v in instance.resources.items()},
                "priority": instance.priority,
                "idx": instance.step.idx or 0,
                "energy_kwh": need.energy.value,
            }
        )
    return Scheduler().schedule(steps, {**options.resource, "cpu": jobs}).makespan
