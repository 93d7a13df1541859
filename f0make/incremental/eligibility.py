"""Which way answers a request, and why: the one list of what the ways that skip work cannot vouch for. Pure.

The no-op path answers when nothing differs from a snapshot, a run over a part when it is sure what the differences
reach. Whatever stands in their way is a `Reason` here, and the full way answers.
"""

from __future__ import annotations

from f0make.command_table import APART, options_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from f0make.model import Recipe
    from f0make.options import RunOptions


class Reason(str):
    """Why a way is taken: the text that a person reads."""

    __slots__ = ()


# no-op path
UNCHANGED = Reason("every file is as the last run left it")

# partial way
CHANGED = Reason("what differs from the last run reaches only a part of the graph")
ALWAYS_DIRTY = Reason("steps with `always` or `fingerprint` are decided in every run")
TOLD_WHOLE = Reason("every file is as the last run left it, and each instance is to be told of")

# full way: the request
FORCED = Reason("--force asks for more than what changed")
REHASH = Reason("--rehash trusts no signature")
SELECTED = Reason("--only, --skip and --resource make an answer that no other run can use")
ENERGY = Reason("--energy measures the whole run")
HOSTS = Reason("hosts take part")
BUDGET = Reason("a budget limits the run")
PLACES = Reason("no place has the labels that an instance asks for")

# full way: what there is to begin from
NO_SNAPSHOT = Reason(
    "no snapshot of this request: it is the first run, the last one did not end well, or f0make or Python is another"
)
KILLED_RUN = Reason("a run that was killed left processes or files")
NO_GRAPH = Reason("the snapshot has no graph")
DAMAGED_SNAPSHOT = Reason("the snapshot is damaged or cannot be read")
DAMAGED_LOG = Reason("the log is damaged")
OTHER_LOG = Reason("the log is not the one that the snapshot knows")

# full way: what has changed
APPEARED = Reason("something is there that was missing when the graph was made")
GRAPH_INPUT = Reason("the whole graph rests on a path that has changed")
INPUT_GONE = Reason("an input is gone, or is of another kind")
NEW_LINK = Reason("an input leads to something else")

# no snapshot, or one without a graph: what a run leaves
SECRETS = Reason("steps use secrets")
NO_SEAL = Reason("there is no key to seal snapshots with")
BACKEND = Reason("the options of the backend do not go together")
UNSURE = Reason("files changed while the run looked at them")
CONTEXT = Reason("python steps use the context")
GROWS = Reason("the graph grows during a run (`after:`)")
UNPACKABLE = Reason("an instance holds what cannot be packed")


class NeedsFullRun(Exception):
    """Only the full way can answer; ``detail`` is the path or name that shows it."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


def no_op() -> str:
    """What `--debug` says when there was nothing to do."""
    return _line("no-op path", UNCHANGED)


def partial(differing: Sequence[str], always_dirty: bool) -> str:
    """What `--debug` says when a part is decided, because of paths that are ``differing`` or steps ``always_dirty``."""
    if differing:
        more = f" and {len(differing) - 1} more" if len(differing) > 1 else ""
        return _line("partial way", CHANGED, differing[0] + more)
    return _line("partial way", ALWAYS_DIRTY if always_dirty else TOLD_WHOLE)


def full(why: NeedsFullRun) -> str:
    """What `--debug` says when everything is decided."""
    return _line("full way", why.reason, why.detail)


def _line(way: str, reason: Reason, detail: str = "") -> str:
    return f"{way}: {reason}" + (f" ({detail})" if detail else "")


def against_partial(options: RunOptions) -> Reason | None:
    """Why a run with ``options`` must look at everything; None when a part may do."""
    if options.force:
        return FORCED
    if options.rehash:
        return REHASH
    return against_snapshot(options) or against_graph(options)


def against_snapshot(options: RunOptions) -> Reason | None:
    """Why what a run with ``options`` finds is no answer to a later request."""
    return SELECTED if any(map(options.value, options_of(request=APART))) else None


def against_graph(options: RunOptions) -> Reason | None:
    """Why no later run with ``options`` could decide a part alone."""
    if options.energy:
        return ENERGY
    if options.host or options.hosts:
        return HOSTS
    return BUDGET if any(map(options.value, options_of(value="budget"))) else None


def against_recipe_snapshot(recipe: Recipe, sealed: bool) -> Reason | None:
    """Why no snapshot of ``recipe`` is written; ``sealed``: there is a key for it."""
    if not sealed:
        return NO_SEAL
    # A snapshot knows nothing of secrets.
    return SECRETS if any(step.secrets for step in recipe.steps) else None


def against_recipe_graph(recipe: Recipe, uses_context: bool, damaged_log: bool) -> Reason | None:
    """Why the snapshot of a run over ``recipe`` gets no graph: a later run over a part could not do what a full one does.

    ``uses_context``: steps set keys of the context, may do so, or have missed some.
    """
    if uses_context:
        return CONTEXT
    if recipe.budget:
        return BUDGET
    if damaged_log:
        return DAMAGED_LOG
    if any(entry.after for step in recipe.steps for entry in step.foreach):
        return GROWS
    return None


def against_log(damage: Collection[str], open_begins: bool, known: bool) -> Reason | None:
    """Why a log cannot be gone on from; ``known``: it holds what the snapshot saw of it."""
    if damage:
        return DAMAGED_LOG
    if open_begins:
        return KILLED_RUN
    return None if known else OTHER_LOG
