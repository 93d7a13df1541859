"""How a run ended."""

from __future__ import annotations

from f0make.fast_dataclass import dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.context import Context
    from f0make.options import Event


@dataclass(slots=True)
class RunResult:
    """How a run ended."""

    status: str
    """``ok``, ``failed``, ``budget`` or ``interrupted``."""
    steps: dict[str, str]
    """Instance -> what became of it."""
    context: Context
    summary: Event
    exit_code: int = 0
    messages: list[str] = field(default_factory=list)
