"""The last word on a recipe: strictyaml's, which comes while the recipe is expanded and is waited for before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from f0make.errors import Problem, RecipeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.recipe.strictyaml_check import Opinions


class Confirmation:
    """``opinions`` that are waited for once; ``keep`` is called when there are none against the recipe."""

    def __init__(self, opinions: Opinions, keep: Callable[[], None]) -> None:
        self._opinions: Opinions | None = opinions
        self._keep = keep

    def begin(self) -> None:
        """Have the opinions found while something else is done."""
        if self._opinions is not None:
            self._opinions.begin()

    def wait(self, problems: Sequence[Problem] = ()) -> None:
        """Raise RecipeError when strictyaml objects, or when there are ``problems`` already; of both together."""
        if self._opinions is None:
            return
        objections, self._opinions = self._opinions.problems(), None
        if not objections:
            self._keep()
        if objections or problems:
            raise RecipeError([*problems, *objections])

    def drop(self) -> None:
        """Nothing will run: do not wait."""
        if self._opinions is not None:
            self._opinions.drop()
            self._opinions = None
