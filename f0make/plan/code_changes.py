"""Which line of which module changed, for `f0make why`. Pure but for reading old source through a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from f0make.plan.decide import Change, shorten


def code_changes(
    old: Mapping[str, str], new: Mapping[str, bytes], read: Callable[[str], bytes | None]
) -> list[Change]:
    """The first differing line of each module.

    ``old`` maps a module's path to the digest of its source as recorded, ``new`` to its source now;
    ``read`` gives a recorded source by digest, or None when it is not kept any more. Lines that are blank or
    only a comment never make the difference and are passed over.
    """
    from difflib import SequenceMatcher
    from hashlib import sha256

    changes = []
    for path in sorted({*old, *new}):
        if path not in old or path not in new:
            there = path in new
            changes.append(
                Change(
                    f"code {path}",
                    "(absent)" if there else "(imported)",
                    "(imported)" if there else "(absent)",
                )
            )
            continue
        if old[path] == sha256(new[path]).hexdigest():
            continue
        before = read(old[path])
        if before is None:
            continue
        left, right = _meaningful(before), _meaningful(new[path])
        matcher = SequenceMatcher(None, [t for _, t in left], [t for _, t in right], autojunk=False)
        for tag, a, b, c, d in matcher.get_opcodes():
            if tag == "equal":
                continue
            number = right[c][0] if c < d else left[a][0]
            gone = shorten(left[a][1].strip()) if a < b else "(absent)"
            came = shorten(right[c][1].strip()) if c < d else "(absent)"
            changes.append(Change(f"code {path}:{number}", gone, came))
            break
    return changes


def _meaningful(source: bytes) -> list[tuple[int, str]]:
    lines = enumerate(source.decode("utf-8", "replace").splitlines(), 1)
    return [(number, line) for number, line in lines if line.strip() and not line.lstrip().startswith("#")]
