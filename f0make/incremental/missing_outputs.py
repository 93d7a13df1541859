"""Outputs that are only gone. The snapshot says what lay there, so they can be put back without deciding anything.

That changes nothing for those who read them. Changes nothing here either: `back` does it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence

from f0make.incremental.path_index import EVERYBODY, nodes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from f0make.incremental.packed_graph import Compiled
    from f0make.model import Instance
    from f0make.store.record_store import Store

LostFile = tuple[str, str, int, int]
"""(path, token, mtime in ns, mode) of a regular file that is to be as it was."""
Lost = dict[int, list[LostFile]]
"""Instance -> the regular files that it has lost."""

MOST = 1 << 30
"""Bytes put back before anything is decided and told; what is more goes the way of everything else."""


def may_come_back(instance: Instance) -> bool:
    """Whether files that are all that ``instance`` has lost need nothing but to be put back. Pure."""
    if instance.always or instance.fingerprint or not instance.cache:
        return False
    for output in instance.outputs:
        if output.directory or output.temp or output.protected:
            return False
    return bool(instance.outputs)


def lost(compiled: Compiled, changed: Iterable[str], store: Store, root: str) -> Lost:
    """What of the paths that have ``changed`` is only gone, and was when it was last seen what f0make had left there."""
    found: Lost = {}
    left = MOST
    for path in changed:
        place = compiled.place(path)
        assert place is not None
        maker = _maker(compiled.owners[place])
        if maker is None or not compiled.plain[maker]:
            continue
        token = compiled.tokens[place]
        size, time, _, _, mode = compiled.signature(place)
        regular = stat.S_ISREG(mode)
        if not regular or not store.knows({path: token}, compiled.names[maker]) or _there(f"{root}/{path}"):
            continue
        if size > left:
            continue
        left -= size
        found.setdefault(maker, []).append((path, token, time, mode))
    return found


def readers_and_makers(compiled: Compiled, files: Iterable[LostFile]) -> set[int]:
    """The instances that the ``files`` concern."""
    found: set[int] = set()
    for path, *_ in files:
        place = compiled.place(path)
        assert place is not None
        found |= nodes(compiled.owners[place])
    return found


def _maker(owners: Sequence[int]) -> int | None:
    """The only maker among ``owners``; None when there is none, or when the path concerns everybody."""
    makers = [owner >> 1 for owner in owners if owner & 1]
    return makers[0] if len(makers) == 1 and EVERYBODY not in owners else None


def _there(full: str) -> bool:
    """Whether something lies there, or nobody knows."""
    try:
        os.lstat(full)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        pass
    return True
