"""What a run took and what it spared, in sums; cheap enough to be kept always. Pure."""

from __future__ import annotations

from collections.abc import Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from f0make.worker.bundle import Outcome


class Tally:
    """Totals over the instances that ran, and the recorded cost of those that did not have to."""

    __slots__ = ("cpu_seconds", "peak_mem", "read", "saved_energy_kwh", "saved_seconds", "written")

    def __init__(self) -> None:
        self.cpu_seconds = 0.0
        self.peak_mem = self.read = self.written = 0
        self.saved_seconds = self.saved_energy_kwh = 0.0

    def ran(self, outcome: Outcome) -> None:
        """An attempt is over, whatever it came to: it was paid for."""
        self.cpu_seconds += outcome.cpu_seconds
        self.peak_mem = max(self.peak_mem, outcome.peak_mem)
        self.read += outcome.read
        self.written += outcome.written

    def spared(self, record: Mapping[str, Any], sign: int = 1) -> None:
        """An instance is current or restored; ``sign`` -1 takes that back, because it runs after all."""
        self.saved_seconds += sign * (record.get("seconds") or 0.0)
        self.saved_energy_kwh += sign * (record.get("energy_kwh") or 0.0)

    def fields(self) -> dict[str, float | int]:
        """As the summary has them."""
        return {
            "cpu_seconds": round(self.cpu_seconds, 6),
            "peak_mem": self.peak_mem,
            "read": self.read,
            "written": self.written,
            "saved_seconds": round(max(0.0, self.saved_seconds), 6),
            "saved_energy_kwh": max(0.0, self.saved_energy_kwh),
        }
