"""Functions that the recipes here call."""

from scriptlets.core.base import BaseScriptlet


def greet(name: str, count: int) -> None:
    """Say hello."""
    print(name * count)


class Greeter(BaseScriptlet):
    """Says hello too."""

    class Params:
        count: int = 1

    def run(self, ctx: object, params: dict[str, object]) -> int:
        return 0
