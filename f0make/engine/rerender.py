"""An instance as it is in a later attempt, where anything of its step mentions `attempt`."""

from __future__ import annotations

import os
from collections.abc import Mapping

from f0make.errors import RecipeError
from f0make.model import Instance

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.workset import Workset


class CannotAttempt(Exception):
    """What a later attempt would run cannot be worked out; the text says why."""


def next_resources(session: Workset, instance: Instance, number: int) -> Mapping[str, float | int]:
    """What the attempt ``number`` of ``instance`` asks for; a later one may ask for more than the first."""
    if number > 1:
        try:
            return for_attempt(session, instance, number).resources
        except CannotAttempt:
            pass  # It will fail when it is to start.
    return instance.resources


def for_attempt(session: Workset, instance: Instance, number: int, cpus: float | None = None) -> Instance:
    """``instance`` rendered for attempt ``number``: itself where nothing depends on that.

    ``cpus``: what is granted where that is less than what it asks for.

    Raises CannotAttempt for a template that fails, or an argument that does not fit, in this attempt only.
    """
    from f0make.template.render_text import TemplateError

    try:
        again = session.rerender(instance, number, cpus)
    except (TemplateError, RecipeError) as error:
        raise CannotAttempt(f"attempt {number} cannot be made: {error}") from None
    if again is instance or again.module is None or again.args is instance.args:
        return again
    from f0make.code.check_python import check_step
    from f0make.code.code_bases import CodeBases

    bases = CodeBases(session.workspace, os.environ, {})
    again.args, _, problems = check_step(bases.of(again), again)
    if problems:
        raise CannotAttempt(f"attempt {number} cannot be made: {problems[0]}")
    return again
