"""What tells two records of one key apart: what they produced and what they discovered, not how long it took."""

from __future__ import annotations

from f0make.ascii_json import dumper
from f0make.files.sha import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


_IDENTITY = ("outputs", "discovered", "reads", "missing_reads")
"""Fields that make a difference; `trees` is implied by the tokens in `outputs`."""
_WRITE = ("key", "value", "who")
_dumps = dumper(sort_keys=True)


def variant_of(record: dict[str, Any]) -> str:
    """16 hex digits; the record's own ``variant`` when it has one."""
    given = record.get("variant")
    if isinstance(given, str) and len(given) == 16 and not given.strip("0123456789abcdef"):
        return given
    parts: list[Any] = [record.get(name) or None for name in _IDENTITY]
    writes = record.get("writes")
    parts.append(
        [[w.get(name) for name in _WRITE] for w in writes if isinstance(w, dict)] if writes else None
    )
    return sha256(_dumps(parts).encode("ascii")).hexdigest()[:16]
