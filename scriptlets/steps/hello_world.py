"""The smallest useful scriptlet: it prints a message and puts it into the context."""

from __future__ import annotations

from typing import Any

from f0make.context import Context
from scriptlets.core.base import BaseScriptlet


class HelloWorld(BaseScriptlet):
    """Print ``message`` and set ``hello_world.output`` to it."""

    def validate(self, ctx: Context, params: dict[str, Any]) -> None:
        """Raises ValueError without a ``message``."""
        if "message" not in params:
            raise ValueError("Missing 'message' argument")

    def run(self, ctx: Context, params: dict[str, Any]) -> int:
        """Returns 0."""
        self.validate(ctx, params)
        msg = params["message"]
        print(msg)
        ctx.set("hello_world.output", msg, who="hello_world")
        return 0
