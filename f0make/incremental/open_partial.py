"""Opening the part of a request's graph that changes since its snapshot reach."""

from __future__ import annotations

from collections.abc import Callable

from f0make.files.content_cache import Contents
from f0make.incremental import eligibility
from f0make.incremental.affected import touched
from f0make.incremental.eligibility import NeedsFullRun
from f0make.incremental.missing_outputs import lost, readers_and_makers
from f0make.incremental.packed_graph import Compiled
from f0make.incremental.part_graph import load
from f0make.incremental.partial_workset import PartialWorkset
from f0make.store import snapshot, state_dir
from f0make.store.record_store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.files.stat_cache import Row
    from f0make.model import Instance
    from f0make.options import RunOptions
    from f0make.store.snapshot import Look
    from f0make.workset import Workset


def open_partial(
    options: RunOptions,
    workspace: str,
    recipe_path: str,
    targets: list[str],
    look: Look | None,
    *,
    note: Callable[[str], None],
    go_ahead: Callable[[], None],
    refuses: Callable[[Instance], object],
    open_whole: Callable[[list[str]], Workset],
) -> PartialWorkset:
    """The part of the request's graph that the changes since its snapshot reach; ``look`` is what is known of them.

    ``options`` are such that a part may do (`eligibility.against_partial`).

    ``note`` takes a line for a person; ``go_ahead`` is called where other processes look for more changes meanwhile;
    ``refuses`` says whether no place takes an instance, given one that asks for labels; ``open_whole`` opens the
    recipe for targets. Raises NeedsFullRun when the full way must tell.
    """
    if look is None:
        look = _look(options, workspace, recipe_path, targets)
    if look.unfinished:
        go_ahead()
    store = None
    part = None
    try:
        compiled = Compiled.read(look.kept, look.paths, workspace.rstrip("/") + "/")
        contents = Contents(workspace)
        contents.older = compiled.row
        contents.before_large = _together(contents, look, note)
        store = Store(workspace, recipe=compiled.kept["known_as"])
        part = _open(options, compiled, look, contents, store, open_whole)
    except OSError as error:
        raise NeedsFullRun(eligibility.DAMAGED_SNAPSHOT, str(error)) from None
    finally:
        if part is None and store is not None:
            store.close()
    if any(instance.runs_on and refuses(instance) for instance in part.graph.instances):
        # Whether it must run decides what is said before anything does: for that the whole is needed.
        part.close()
        raise NeedsFullRun(eligibility.PLACES)
    return part


def _look(options: RunOptions, workspace: str, recipe_path: str, targets: list[str]) -> Look:
    """What differs from the snapshot of the request. Raises NeedsFullRun where nothing can begin from one."""
    try:
        if state_dir.has_leftovers(workspace):
            raise NeedsFullRun(eligibility.KILLED_RUN)
        request = snapshot.request_of_run(options, recipe_path, targets)
        found = snapshot.look(request, workspace.rstrip("/") + "/") if request is not None else None
    except OSError as error:
        raise NeedsFullRun(eligibility.DAMAGED_SNAPSHOT, str(error)) from None
    if found is None:
        raise NeedsFullRun(eligibility.NO_SNAPSHOT)
    return found


def _together(contents: Contents, look: Look, tell: Callable[[str], None]) -> Callable[[str], None]:
    """Hash the large ones of all changed files when the first of them is met."""

    def hook(first: str) -> None:
        from f0make.files.prehash import Prehash
        from f0make.worker.cores import usable_cores

        Prehash(contents, lambda: look.changed, usable_cores(), tell)(first)

    return hook


def _open(
    options: RunOptions,
    compiled: Compiled,
    look: Look,
    contents: Contents,
    store: Store,
    open_whole: Callable[[list[str]], Workset],
) -> PartialWorkset:
    against = eligibility.against_log(
        store.damage, bool(store.open_begins()), store.holds(compiled.index["log"])
    )
    if against is not None:
        raise NeedsFullRun(against)
    gone = {} if options.no_cache else lost(compiled, look.changed, store, contents.root)
    later = {path for files in gone.values() for path, *_ in files}
    listings: dict[str, Row] = {}
    changed = [path for path in look.changed if path not in later]
    first = touched(compiled, changed, look.appeared, contents, listings)
    while True:
        opened = load(compiled, first)
        if opened is None:
            raise NeedsFullRun(eligibility.DAMAGED_SNAPSHOT)
        both = gone.keys() & set(opened[0])
        if not both:
            break
        # What is decided anyway is decided whole.
        for number in both:
            first |= readers_and_makers(compiled, gone.pop(number))
    targets = list(compiled.kept["request"][1] or ())
    return PartialWorkset(
        compiled, look, store, contents, first, gone, listings, opened, lambda: open_whole(targets)
    )
