"""The base class of scriptlets: python steps written as a class."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from f0make.context import Context


class BaseScriptlet:
    """A python step. f0make makes one instance, calls `validate` and then `run`.

    A nested ``class Params`` with annotated names (and defaults) declares the parameters, so that a recipe's
    `args` are checked and converted before anything runs.
    """

    def validate(self, ctx: Context, params: dict[str, Any]) -> None:
        """Raise an exception when ``params`` cannot be worked with. By default everything can."""

    def run(self, ctx: Context, params: dict[str, Any]) -> int | None:
        """Do the work; 0 or None is success, any other number is the code that the step fails with."""
        raise NotImplementedError(f"{type(self).__name__} must define run(self, ctx, params)")
