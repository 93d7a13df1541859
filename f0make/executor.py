"""`Executor`: opens a recipe, drives a run or a plan over it, and keeps what came of it."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress

from f0make.errors import Problem, RecipeError, UsageError
from f0make.fast_dataclass import replace
from f0make.forked_task import end_all
from f0make.options import Reporter, RunOptions, Silent
from f0make.prestart import Early
from f0make.result import RunResult as RunResult

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from f0make.backends.base import Backend
    from f0make.backends.local.local_backend import LocalBackend
    from f0make.backends.ssh.host import Host
    from f0make.cache.blobs import Blobs
    from f0make.cache.platform_keys import ForPlatform
    from f0make.engine.label_check import Places
    from f0make.governor.base import Governing
    from f0make.governor.budget import Budget
    from f0make.graph.build_graph import Graph
    from f0make.incremental.partial_workset import PartialWorkset
    from f0make.model import Recipe
    from f0make.plan.decide import Planned
    from f0make.secrets import Secrets
    from f0make.session import Session
    from f0make.store.record_store import Store
    from f0make.store.snapshot import Look
    from f0make.workset import Workset


class Executor:
    """Runs recipes in one workspace.

    ``options`` default to those of a bare `f0make run`; keyword arguments override single ones:
    ``Executor(jobs=4, workspace="project")``.
    """

    def __init__(
        self, options: RunOptions | None = None, reporter: Reporter | None = None, **changes: Any
    ) -> None:
        try:
            self.options = replace(options or RunOptions(), **changes)
        except TypeError as error:
            raise UsageError(str(error).replace("RunOptions.__init__()", "Executor()")) from None
        self.reporter: Reporter = reporter or Silent()
        self.workspace = os.path.abspath(self.options.workspace)
        self._hosts: list[Host] | None = None
        self._taken: dict[str, str] = {}
        """Variables that are out of the environment while something runs."""
        self._early = Early(self.options, self._jobs, self._local)

    def execute(
        self, recipe_path: str | os.PathLike[str], targets: Sequence[str] = (), look: Look | None = None
    ) -> RunResult:
        """Bring ``targets`` (default: the recipe's) up to date.

        ``look`` is what `f0make.noop` has found already, with the workspace's lock.

        Raises RecipeError and UsageError before anything runs, LockedError when another run holds the
        workspace, StateError when `.f0make` cannot be used. A step that fails is no exception: the result
        says so. Signals are handled only in the main thread.
        """
        from f0make.store.state_dir import check_owner
        from f0make.store.workspace_lock import WorkspaceLock

        if not os.path.isdir(self.workspace):
            raise UsageError(f"there is no directory {self.workspace}")
        check_owner(self.workspace, self.options.trust)
        lock = WorkspaceLock(self.workspace)
        path, wanted = os.fspath(recipe_path), list(targets) or list(self.options.targets)
        if look is not None:
            lock.adopt(look.lock)
        else:
            lock.acquire(self.options.wait)
        try:
            workset, recipe = self._open(path, wanted, look)
            try:
                return self._run(workset, recipe, path, wanted)
            finally:
                with suppress(OSError):
                    workset.close()
        finally:
            self._early.stop()
            end_all()
            lock.release()
            os.environ.update(self._taken)

    def _open(self, path: str, targets: list[str], look: Look | None) -> tuple[Workset, Recipe | None]:
        """What is to be run, with the recipe where that had to be read (see `incremental.eligibility`)."""
        from f0make.incremental.eligibility import NeedsFullRun, full, partial

        part = obstacle = None
        try:
            part = self._open_partial(path, targets, look)
        except NeedsFullRun as error:
            obstacle = error
        if self.options.debug and obstacle is not None:
            self.reporter.note(full(obstacle))
        elif self.options.debug and part is not None:
            found = part.look
            self.reporter.note(partial(found.changed + found.appeared, found.kept["always_dirty"]))
        if part is None:
            self._early.stop()
            whole = self._open_whole(path, targets)
            return whole, whole.recipe
        self._early.part_is_open(part.graph.instances)
        return part, None

    def _open_partial(self, path: str, targets: list[str], look: Look | None) -> PartialWorkset:
        """The part of the graph that the changes since the last run reach. Raises NeedsFullRun."""
        from f0make.incremental.eligibility import NO_SNAPSHOT, NeedsFullRun, against_partial
        from f0make.store import snapshot

        against = against_partial(self.options)
        if against is None and not os.path.isdir(os.path.join(self.workspace, snapshot.DIRECTORY)):
            against = NO_SNAPSHOT
        if against is not None:
            raise NeedsFullRun(against)
        from f0make.incremental.open_partial import open_partial

        def open_whole(targets: list[str]) -> Workset:
            from f0make.session import Session

            return Session.open(path, self.options, targets=targets)

        return open_partial(
            self.options,
            self.workspace,
            path,
            targets,
            look,
            note=self.reporter.note,
            go_ahead=self._go_ahead,
            refuses=lambda instance: self.places().refusal(instance),
            open_whole=open_whole,
        )

    def _go_ahead(self) -> None:
        """While other processes look for more changes: have a worker come up, and read the rest of the program."""
        from importlib import import_module

        self._early.expect(1)
        import_module("f0make.run_driver")

    def _open_whole(self, path: str, targets: list[str]) -> Session:
        from f0make.backends.local.process_journal import kill_leftovers
        from f0make.session import Session

        kill_leftovers(self.workspace)
        session = Session.open(
            path, self.options, readonly=False, targets=targets, on_loaded=self._early.recipe_is_read
        )
        session.growing.inputs.files.update(map(os.path.abspath, self.options.hosts))
        try:
            self.check_request(session)
            self.check_places(session)
            if session.secrets is not None:
                self._take_secrets(session, session.secrets)
        except BaseException:
            with suppress(OSError):
                session.close()
            raise
        return session

    def _take_secrets(self, session: Session, secrets: Secrets) -> None:
        """Keep the recipe's secrets to f0make and the steps that list them. Raises RecipeError when one is missing."""
        from f0make.backends.local import forkserver
        from f0make.scrub_environ import scrub

        steps = [i.step for i in session.instances(sorted(session.wanted())) if i.when]
        steps += [step for step in session.recipe.steps if step.name in session.pending]
        problems = secrets.problems(steps)
        if problems:
            raise RecipeError(problems)
        self._taken.update(scrub(secrets.from_environment))
        if self._taken:
            # What came up before had them in its environment.
            self._early.stop()
            forkserver.dismiss()

    def plan(self, recipe_path: str | os.PathLike[str], targets: Sequence[str] = ()) -> list[Planned]:
        """What `execute` would do, in topological order; changes nothing on disk and runs nothing."""
        return self.inspect(recipe_path, targets)[1]

    def inspect(
        self, recipe_path: str | os.PathLike[str], targets: Sequence[str] = ()
    ) -> tuple[Graph, list[Planned]]:
        """The graph, grown as far as it can be without running anything, and the plan over it."""
        from f0make.engine.dry_run import plan
        from f0make.engine.large_files import hash_large_together
        from f0make.session import Session
        from f0make.worker.cores import usable_cores

        wanted = list(targets) or list(self.options.targets)
        session = Session.open(os.fspath(recipe_path), self.options, targets=wanted)
        try:
            self.check_request(session)
            for text in session.notes:
                self.reporter.note(text)
            blobs, shared = self._caches(create=False)
            hash_large_together(session, usable_cores(), self.reporter.note)
            planned = plan(session, self.options, blobs, shared)
            self.check_places(session, planned)
            return session.graph, planned
        finally:
            session.close()

    def why(self, recipe_path: str | os.PathLike[str], target: str) -> list[Planned]:
        """The decisions for what ``target`` (a step, an instance or a file) stands for."""
        from f0make.engine.dry_run import plan
        from f0make.engine.large_files import hash_large_together
        from f0make.session import Session
        from f0make.worker.cores import usable_cores

        session = Session.open(os.fspath(recipe_path), self.options, targets=[target])
        try:
            blobs, shared = self._caches(create=False)
            hash_large_together(session, usable_cores(), self.reporter.note)
            planned = plan(session, self.options, blobs, shared)
            names = {session.graph.instances[i].name for i in session.resolve(target)}
            return [p for p in planned if p.instance.name in names]
        finally:
            session.close()

    def check_request(self, session: Session) -> None:
        """Refuse unknown words of `--only` and `--skip`, and what is beyond the budget. Raises UsageError, RecipeError."""
        names = session.growing.names
        names.selected("--only", self.options.only)
        names.selected("--skip", self.options.skip)
        if self.elsewhere:
            from f0make.backends.clusters.cluster_factory import check

            check(self.options)
        problems = self._beyond_budget(session)
        if problems:
            raise RecipeError(problems)

    @property
    def elsewhere(self) -> bool:
        """Whether everything runs on a cluster (see `engines`)."""
        return self.options.backend not in ("local", "ssh")

    def places(self) -> Places:
        """Where steps may run. Raises UsageError and RecipeError for wrong hosts."""
        from f0make.engine.label_check import Places

        if self.elsewhere:
            return Places(cluster=self.options.backend)
        return Places(self.hosts(), self.options.jobs != 0)

    def check_places(self, session: Session, planned: Sequence[Planned] | None = None) -> None:
        """Refuse steps that must run and that no place takes: those that ``planned`` says, default as a plan would say.

        Raises UsageError and RecipeError.
        """
        from f0make.engine.label_check import unsupported

        places = self.places()
        if not unsupported(session, places):
            return
        if planned is None:
            from f0make.engine.dry_run import plan

            planned = plan(session, self.options, *self._caches(create=False))
        problems = unsupported(session, places, {p.instance.name: p.status for p in planned})
        if problems:
            raise RecipeError(problems)

    def hosts(self) -> list[Host]:
        """The hosts that steps may run on beside this machine. Raises UsageError and RecipeError."""
        if not self.options.host and not self.options.hosts:
            return []
        if self._hosts is None:
            from f0make.backends.ssh.hosts_file import all_hosts

            self._hosts = all_hosts(self.options.hosts, self.options.host)
        return self._hosts

    def _beyond_budget(self, session: Session) -> list[Problem]:
        """What is declared beyond the budget's limits. Raises UsageError for a budget that is wrong itself."""
        budget = self.budget(session.recipe)
        if not budget or (budget.cpu is None and budget.mem is None):
            return []
        from f0make.governor.budget import beyond
        from f0make.worker.cores import usable_cores

        return beyond(budget, session.instances(sorted(session.wanted())), usable_cores())

    def budget(self, recipe: Recipe | None) -> Budget | None:
        """What options and ``recipe`` limit, None when they limit and measure nothing. Raises UsageError."""
        options = self.options
        given = (options.max_cpu, options.max_mem, options.max_load, options.max_time, options.max_energy)
        said = recipe is not None and bool(recipe.budget)
        if not (said or options.energy or any((*given, options.max_carbon, options.country))):
            return None
        from f0make.governor.budget import budget_of

        return budget_of(options, recipe) or None

    def _caches(self, create: bool) -> tuple[Blobs | None, ForPlatform | None]:
        """The blob store and, with `--cache`, the shared records; None for what cannot be used."""
        from f0make.cache.factory import open_caches

        return open_caches(self.workspace, self.options, self.reporter.note, create)

    def _backend(self, jobs: int, hosts: Sequence[Host], blobs: Blobs | None) -> Backend:
        if self.options.backend not in ("local", "ssh"):
            from f0make.backends.clusters.cluster_factory import backend_for

            return backend_for(self.options, self.workspace, jobs, blobs, self.reporter.note)
        local = self._local(jobs) if jobs else None
        if not hosts and local is not None:
            return local
        from f0make.backends.ssh.fleet import Fleet
        from f0make.backends.ssh.host import patience_of

        return Fleet(hosts, patience_of(self.options), local, self.workspace)

    def _local(self, jobs: int) -> LocalBackend:
        from f0make.backends.local.jobserver.token_pool import Jobserver, open_jobserver
        from f0make.backends.local.local_backend import LocalBackend

        def jobserver() -> Jobserver | None:
            return open_jobserver(os.environ.get("MAKEFLAGS", ""), jobs, self.reporter.note)

        return LocalBackend(jobs, self.workspace, jobserver=jobserver)

    def _governor(self, store: Store, recipe: Recipe | None, jobs: int, began: float) -> Governing:
        """What keeps the run inside its budget. Starts nothing yet."""
        budget = self.budget(recipe)
        if budget is None:
            from f0make.governor.base import NullGovernor

            return NullGovernor()
        from f0make.electricity.intensity import intensity
        from f0make.governor import energy_model
        from f0make.governor.governor import Governor
        from f0make.worker.cores import usable_cores

        return Governor(
            budget,
            store,
            energy_model.here(),
            intensity(budget.country),
            jobs=jobs,
            cores=usable_cores(),
            began=began,
            note=self.reporter.note,
        )

    def _run(
        self, workset: Workset, recipe: Recipe | None, recipe_path: str, targets: list[str]
    ) -> RunResult:
        began = time.monotonic()
        jobs = self._jobs()
        hosts = self.hosts()
        if not jobs and not hosts:
            raise UsageError("-j 0 without hosts: nothing could run (name hosts with --hosts or --host)")
        for text in workset.notes:
            self.reporter.note(text)
        if self.options.strict or self.options.audit:
            from f0make.backends.local.guard_probe import obstacle

            option, reason = "--strict" if self.options.strict else "--audit", obstacle()
            if reason is not None:
                raise UsageError(f"{option} cannot watch steps here: {reason}")
        blobs, shared = self._caches(create=True)
        from f0make.engine.assemble import Means
        from f0make.run_driver import drive

        means = Means(
            run_id=time.strftime("%Y%m%d-%H%M%S") + f"-{os.getpid()}",
            places=self.places,
            jobs=jobs,
            hosts=hosts,
            blobs=blobs,
            shared=shared,
            governor=self._governor(workset.store, recipe, jobs, began),
            backend=lambda: self._early.backend or self._backend(jobs, hosts, blobs),
        )
        return drive(workset, self.options, self.reporter, recipe_path, targets, means, began)

    def _jobs(self) -> int:
        from f0make.worker.cores import usable_cores

        return usable_cores() if self.options.jobs is None else self.options.jobs


def run_recipe(recipe_path: str | os.PathLike[str], targets: Sequence[str] = (), **options: Any) -> RunResult:
    """Run ``recipe_path`` with keyword options as `Executor` takes them (see RunOptions)."""
    return Executor(**options).execute(recipe_path, targets)
