"""Facts of the disk that remember which paths were asked for and are missing."""

from __future__ import annotations

from f0make.expand.disk_facts import DiskFacts


class WatchedFacts(DiskFacts):
    """What would be different if one of ``absent`` were there is different then: the no-op snapshot names them."""

    def exists(self, path: str) -> bool:
        """Whether there is anything at ``path``."""
        found = super().exists(path)
        if not found:
            self.absent.add(path)
        return found
