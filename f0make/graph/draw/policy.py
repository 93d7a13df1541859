"""What a page that f0make writes may do: show itself, and run the one script that is in it."""

from __future__ import annotations

import base64
import hashlib


def policy(style: str, script: str) -> str:
    """A Content-Security-Policy, as a `meta` element, for a page with this inline style sheet and this inline script.

    Nothing is loaded or sent, no other script or style counts, and no form or frame works.
    """
    sources = (
        f"style-src {_hash(style)}; script-src {_hash(script)}" if script else f"style-src {_hash(style)}"
    )
    return (
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        f"{sources}; base-uri 'none'; form-action 'none'\">"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
