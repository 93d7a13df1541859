"""The request that a run answers, as `snapshot` names it."""

from __future__ import annotations

from f0make.command_table import ANSWER, APART, options_of
from f0make.store import snapshot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.options import RunOptions

Request = tuple[object, ...]


def request_of_run(options: RunOptions, recipe_path: str, targets: list[str]) -> Request | None:
    """The request of a run with ``options``; None when a snapshot cannot stand for it."""
    if any(options.value(field) for field in options_of(request=APART)):
        return None
    values = {field: options.value(field) for field in options_of(request=ANSWER)}
    return snapshot.request_of({"recipe": recipe_path, "targets": targets, **values})
