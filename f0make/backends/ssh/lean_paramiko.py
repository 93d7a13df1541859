"""paramiko without what f0make has no use for.

It loads invoke, and by that asyncio, ssl and unittest, to follow `Match exec` in ssh configs, which are read by
OpenSSH here: 40 % of the time that its import takes. It can do without, and says so where it would be needed.
"""

from __future__ import annotations

import sys

_NEEDLESS = "invoke"

if _NEEDLESS not in sys.modules:
    sys.modules[_NEEDLESS] = None  # type: ignore[assignment]  # an import of it fails
    try:
        import paramiko
    finally:
        del sys.modules[_NEEDLESS]
else:
    import paramiko

__all__ = ["paramiko"]
