"""What strictyaml is asked about a recipe, and what it says: meanwhile the recipe is expanded.

Its import and its answers take longer than all the rest of the way to a small recipe's graph, and it hardly
ever objects to what our reader accepted, so another process asks it, where one can be forked.
"""

from __future__ import annotations

from f0make.errors import Problem, Where
from f0make.fast_dataclass import dataclass
from f0make.forked_task import Offshoot, safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from f0make.recipe.kinds import Kind


MOST_STEPS = 50
"""Recipes with more steps are left to the fast reader alone."""


@dataclass(frozen=True, slots=True)
class _Question:
    text: str
    kind: Kind
    offset: int
    file: str
    key: str

    def answer(self) -> Problem | None:
        from f0make.recipe.strictyaml_schema import refusal

        said = refusal(self.text, self.kind, self.offset)
        if said is None:
            return None
        where = Where(self.file, said.line, said.column) if self.file or said.line else None
        return Problem(said.message, where, self.key)


class Opinions:
    """Questions to strictyaml, in the order of the recipe."""

    def __init__(self) -> None:
        self._questions: list[_Question] = []
        self._other: Offshoot | None = None

    def ask(self, text: str, kind: Kind, offset: int, file: str, key: str = "") -> None:
        """Whether strictyaml accepts ``text``, which stands in ``file`` behind ``offset`` lines, as a ``kind``."""
        self._questions.append(_Question(text, kind, offset, file, key))

    def begin(self) -> None:
        """Have the answers found by another process, if that is possible; nothing more can be asked."""
        if self._questions and safe():
            try:
                self._other = Offshoot(self._answer)
            except OSError:
                pass

    def problems(self) -> list[Problem]:
        """Its objections."""
        questions, self._questions = self._questions, []
        if self._other is not None:
            said, self._other = self._other.all(), None
            if len(said) == len(questions):
                questions = [question for n, question in enumerate(questions) if said[n]]
            # One that did not get to its end has objected to nothing: all questions are asked again.
        answers = [question.answer() for question in questions]
        return [answer for answer in answers if answer is not None]

    def drop(self) -> None:
        """End the check: its answer is not needed any more."""
        if self._other is not None:
            self._other.end()
            self._other = None

    def _answer(self, say: Callable[[bytes], None]) -> None:
        say(bytes(question.answer() is not None for question in self._questions))
