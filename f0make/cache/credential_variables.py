"""Variables that hold f0make's own credentials: for f0make alone, no step and no fingerprint sees them."""

from __future__ import annotations

USER = "F0MAKE_CACHE_USER"
PASSWORD = "F0MAKE_CACHE_PASSWORD"
TOKEN = "F0MAKE_CACHE_TOKEN"

PRIVATE = frozenset({USER, PASSWORD, TOKEN})

held: dict[str, str] = {}
"""Those of them that were taken out of the environment at the start of a run (`f0make.scrub_environ`)."""
