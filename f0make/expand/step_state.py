"""What is known of one step while the graph is worked out."""

from __future__ import annotations

from f0make.expand.globs import Glob
from f0make.expand.problem_collector import Problems
from f0make.expand.step_plan import StepPlan
from f0make.model import Instance, Recipe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OUTPUTS = "outputs"
INPUTS = "inputs"
LATE = "late"


class Unmatched:
    """Globs of a step that match nothing although they must match something, and links that lead nowhere."""

    __slots__ = ("dangling", "foreach", "inputs")

    def __init__(self) -> None:
        self.inputs: dict[str, list[tuple[str, str]]] = {}
        """Instance name -> (key, text) of each such glob of its inputs."""
        self.foreach: tuple[str, str] | None = None
        """(key, text) of such a `glob:` of `foreach`."""
        self.dangling: list[tuple[str, str]] = []
        """(key, path) of each link to nothing that a `glob:` of `foreach` gives."""


class StepState:
    """A step's plan, its instances so far, and what each stage had to say."""

    def __init__(self, plan: StepPlan, recipe: Recipe) -> None:
        self.plan = plan
        self.name = plan.step.name
        self.place = plan.step.where("foreach")
        self.done: set[str] = set()
        self.after: str | None = None
        """The step that must finish before this one can have instances; None when it has them."""
        self.broken = plan.broken
        self.combinations: list[dict[str, Any]] | None = None
        self.instances: list[Instance] = []
        self.broken_parts: dict[str, set[str]] = {}
        """Instance name -> which of env, resources, inputs, outputs could not be rendered."""
        self.reasons: dict[str, str] = {}
        """Instance name -> the first thing that is wrong with it; what hangs on another's fault has none."""
        self.early: dict[str, Any] = {}
        """`env` and `resources` where all instances share them."""
        self.broken_early: set[str] = set()
        """Which of them could not be rendered."""
        self.shared_inputs: tuple[list[str], dict[str, str | list[str]]] | None = None
        """Inputs and their names where all instances share them."""
        self.globs: dict[str, Glob] = {}
        """Every glob that was matched for this step."""
        self.unmatched = Unmatched()
        self._recipe = recipe
        self.problems: dict[str, Problems] = {}
        self.warnings: dict[str, dict[str, None]] = {}
        self.orphans: dict[str, dict[str, str]] = {}
        """By stage: files that no instance makes any more -> who made them."""
        self.matches: dict[str, list[str]] = {}
        """Input globs of this stage -> what they match."""

    def begin(self, stage: str) -> Problems:
        """Start ``stage`` (again): what it said before no longer counts."""
        self.problems[stage] = Problems(self._recipe)
        self.warnings[stage] = {}
        self.orphans[stage] = {}
        self.matches = {}
        if stage == INPUTS:
            self.unmatched.inputs = {}
        elif stage == OUTPUTS:
            self.unmatched.foreach, self.unmatched.dangling = None, []
        return self.problems[stage]

    def warn(self, stage: str, text: str) -> None:
        """Something that is no error but that a person should know."""
        self.warnings[stage][text] = None

    def break_part(self, instance: str, part: str, reason: str = "") -> None:
        """``part`` of ``instance`` could not be rendered; whatever uses it is not reported again."""
        self.broken_parts.setdefault(instance, set()).add(part)
        if reason:
            self.reasons.setdefault(instance, reason)

    @property
    def first_reason(self) -> str:
        """What is wrong with the first instance that something is wrong with; empty when there is none."""
        return next(iter(self.reasons.values()), "")

    def drop(self, after: str) -> None:
        """This step waits for ``after``: it has no instances for now."""
        self.after = after
        self.instances = []
        self.broken_parts.clear()
        self.reasons.clear()
        self.combinations = None
        self.done = {OUTPUTS, INPUTS}
        self.problems.clear()
        self.warnings.clear()
        self.orphans.clear()
