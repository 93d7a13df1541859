"""`f0make run`: bring targets up to date."""

from __future__ import annotations

import gc
import os
import sys

from f0make.cache.credential_variables import PRIVATE, held
from f0make.cli import reporters
from f0make.options import RunOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def main(name: str, options: RunOptions, extras: dict[str, Any]) -> int:
    """Run, or with `--dry-run` only plan; returns the exit code of the run."""
    targets = options.targets
    if options.dry_run:
        from f0make.cli.verbs import plan

        return plan.main("plan", options, {**extras, "exit_code": False})
    from f0make.backends.local import forkserver

    reporter = None
    try:
        if not PRIVATE.isdisjoint(os.environ):
            from f0make.scrub_environ import scrub

            held.update(scrub(PRIVATE))
        # Now, while there is little to copy: from it come the workers, if anything must run.
        forkserver.prepare()
        from f0make.executor import Executor

        # What a run makes, it keeps: looking through all of it for cycles after every 700 objects finds none.
        gc.set_threshold(200_000, 10, 1_000)
        reporter = reporters.choose(options, extras)
        result = Executor(options, reporter).execute(extras["recipe"], targets, extras.get("look"))
    finally:
        forkserver.dismiss()
        if reporter is not None:
            reporter.stop()
        sys.stderr.flush()
    return int(result.exit_code)
