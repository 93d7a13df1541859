"""Which line of which module changed, for `f0make why`. Reads old source through a function it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from f0make.plan.decide import Change, shorten


def code_changes(
    old: Mapping[str, str], new: Mapping[str, bytes], read: Callable[[str], bytes | None]
) -> list[Change]:
    """Every difference in code between the modules as recorded and as they are now.

    ``old`` maps a module's path to the digest of its source as recorded, ``new`` to its source now; ``read``
    gives a recorded source by digest, or None when it is not kept any more.
    """
    from hashlib import sha256

    from f0make.code.explain_change import code_changes as differences

    changes = []
    for path in sorted({*old, *new}):
        if path not in old or path not in new:
            there = path in new
            sides = ("(absent)", "(imported)") if there else ("(imported)", "(absent)")
            changes.append(Change(f"code {path}", *sides))
            continue
        before = None if old[path] == sha256(new[path]).hexdigest() else read(old[path])
        for change in differences(before, new[path]) if before is not None else ():
            line = change.new_line or change.old_line
            changes.append(
                Change(
                    f"code {path}:{line}",
                    shorten(change.old.strip()) or "(absent)",
                    shorten(change.new.strip()) or "(absent)",
                )
            )
    return changes
