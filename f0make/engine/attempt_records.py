"""What is written down about a finished attempt. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from f0make.engine.decider import Verdict
from f0make.model import Instance
from f0make.plan.decide import SETTLES
from f0make.worker.bundle import Bundle, Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


_ALWAYS = frozenset({"outputs", "inputs", "parts"})
_NEVER_EMPTY = (int, float, bool, type(None))
_OTHERS = frozenset(
    [
        *(
            "key",
            "discovered",
            "reads",
            "missing_reads",
            "outputs",
            "trees",
            "times",
            "modes",
            "writes",
            "sources",
        ),
        *("run", "attempt", "started", "seconds", "cpu_seconds", "peak_mem", "read", "written", "host"),
        *(SETTLES, "test_meta", "energy_kwh", "carbon_g"),
    ]
)
"""What is taken over of a record that another workspace made."""


def record_of(
    instance: Instance,
    verdict: Verdict,
    outcome: Outcome,
    discovered: Mapping[str, str],
    *,
    run_id: str,
    attempt: int,
    sources: Mapping[str, str],
    test_meta: Mapping[str, str],
) -> dict[str, Any]:
    """The record of a successful attempt, as docs/design.md describes it. Empty fields are left out."""
    record: dict[str, Any] = {
        "key": verdict.key,
        "instance": instance.name,
        "step": instance.step.name,
        "parts": verdict.parts,
        "inputs": verdict.inputs,
        "discovered": dict(discovered),
        "reads": outcome.reads,
        "missing_reads": outcome.missing_reads,
        "outputs": outcome.outputs,
        "trees": outcome.trees,
        "times": outcome.times,
        "modes": outcome.modes,
        "writes": outcome.writes,
        "sources": dict(sources),
        "run": run_id,
        "attempt": attempt,
        "started": outcome.started,
        "seconds": round(outcome.seconds, 6),
        "cpu_seconds": round(outcome.cpu_seconds, 6),
        "peak_mem": outcome.peak_mem,
        "read": max(outcome.read, 0),
        "written": max(outcome.written, 0),
        "host": outcome.host,
        "python": outcome.python,
        "test_meta": dict(test_meta),
    }
    return {n: v for n, v in record.items() if v or n in _ALWAYS or type(v) in _NEVER_EMPTY}


def imported(record: Mapping[str, Any], instance: Instance, verdict: Verdict) -> dict[str, Any]:
    """The record of another workspace as that of ``instance`` here, with the parts and inputs that have its key."""
    known = {name: value for name, value in record.items() if name in _OTHERS}
    known |= {"parts": verdict.parts, "inputs": verdict.inputs}
    return {**known, "instance": instance.name, "step": instance.step.name}


def bundle_of(
    instance: Instance,
    *,
    token: str,
    attempt: int,
    workspace: str,
    store: str | None,
    log: str,
    scratch: str,
    context: dict[str, Any],
    foreign_keys: dict[str, str],
    cpus: float = 1,
) -> Bundle:
    """The bundle that runs ``instance`` (rendered for ``attempt``)."""
    extra = instance.extra
    if extra:
        from f0make.recipe.keys import extra_sent

        extra = extra_sent(extra)
    return Bundle(
        token=token,
        instance=instance.name,
        step=instance.step.name,
        attempt=attempt,
        kind=instance.step.type,
        workspace=workspace,
        env=instance.env,
        command=instance.command,
        shell=instance.shell,
        module=instance.module,
        function=instance.function,
        args=instance.args,
        inputs=instance.inputs,
        outputs=[(output.path, output.directory) for output in instance.outputs],
        named_inputs=instance.named_inputs,
        named_outputs=instance.named_outputs,
        resources=instance.resources,
        depfile=instance.depfile,
        timeout=instance.timeout,
        exit_codes=instance.exit_codes,
        not_empty=instance.not_empty,
        store=store,
        log=log,
        scratch=scratch,
        context=context,
        foreign_keys=foreign_keys,
        cpus=cpus,
        extra=extra,
    )
