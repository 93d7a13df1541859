"""Reaching paths below a directory, one component at a time, so that no link leads anywhere unnoticed.

Each directory on the way is opened by its name in the one before, never through a link. Only a link that ``follow``
allows is followed; it is opened first and read from that descriptor, so that it cannot be another meanwhile.
Standard library only, and readable by Python 3.9.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable

from f0make.files.content_digest import FileError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Follow: TypeAlias = "Callable[[str, os.stat_result], bool] | None"
    """Whether the link at a path (relative to the root), with this `lstat`, may be followed; None: no link may."""

_CLOEXEC = getattr(os, "O_CLOEXEC", 0)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_PATH = getattr(os, "O_PATH", 0)
_DIRECTORY = getattr(os, "O_DIRECTORY", 0) | _CLOEXEC
REACH = _PATH | _DIRECTORY
"""Flags to open a directory only to reach what lies in it; this takes no permission on the directory itself."""
LIST = os.O_RDONLY | _DIRECTORY | _NOFOLLOW
"""Flags to open a directory, not through a link, so that it can be listed."""
_LINK = _PATH | _NOFOLLOW | _CLOEXEC
_NO_DIRECTORY = frozenset({errno.ENOTDIR, errno.ELOOP})


class InTheWay(FileError):
    """``path`` is no directory (a file, or a link that is not followed), but another path is to lie in it."""

    def __init__(self, path: str, link: bool) -> None:
        what = "a link that f0make does not follow" if link else "no directory"
        super().__init__(f"{path!r} is {what}, but another path lies in it (move it away)")
        self.path = path


def components(path: str) -> list[str]:
    """The names in ``path``, which is relative. Raises ValueError when it leads anywhere but below."""
    names = path.split("/")
    if any(name in ("", ".", "..") for name in names) or "\0" in path:
        raise ValueError(f"{path!r} does not lie inside the workspace")
    return names


class Below:
    """The directory ``root``, open, and what lies below it. Paths are relative to it; "" is itself.

    Opened when it is first used; `close` it. Every method raises FileError (`InTheWay`) or OSError.
    """

    def __init__(self, root: str, follow: Follow = None) -> None:
        self.root = root
        self._follow = follow
        self._fd = -1

    @property
    def fd(self) -> int:
        """A descriptor of the root, to reach what lies in it."""
        if self._fd < 0:
            self._fd = os.open(self.root, REACH)
        return self._fd

    def exist(self) -> None:
        """Make the root where it is missing. Raises OSError."""
        try:
            os.mkdir(self.root)
        except FileExistsError:
            pass

    def close(self) -> None:
        """Let go of the root."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> Below:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def directory(self, path: str, make: bool = False, made: list[str] | None = None) -> int:
        """A descriptor (for the caller to close) of the directory ``path``.

        With ``make`` it is made where it is missing, with those above it; ``made`` receives what was. Raises
        FileNotFoundError, InTheWay, ValueError, OSError.
        """
        fd = os.dup(self.fd)
        if not path:
            return fd
        names = components(path)
        try:
            for number, name in enumerate(names, 1):
                try:
                    deeper = os.open(name, REACH | _NOFOLLOW, dir_fd=fd)
                except OSError as error:
                    deeper = self._otherwise(fd, names[:number], error, make, made)
                os.close(fd)
                fd = deeper
        except BaseException as error:
            os.close(fd)
            if isinstance(error, OSError) and error.filename is not None:
                error.filename = os.path.join(self.root, path)
            raise
        return fd

    def parent(self, path: str, make: bool = False, made: list[str] | None = None) -> tuple[int, str]:
        """(descriptor, for the caller to close, of the directory that ``path`` lies in, its name there)."""
        above, _, name = path.rpartition("/")
        components(name)
        return self.directory(above, make, made), name

    def look(self, path: str) -> os.stat_result | None:
        """The `lstat` of ``path``; None when nothing is there. Raises OSError."""
        try:
            fd, name = self.parent(path)
        except (FileNotFoundError, InTheWay):
            return None
        try:
            return os.stat(name, dir_fd=fd, follow_symlinks=False)
        except FileNotFoundError:
            return None
        finally:
            os.close(fd)

    def blocker(self, path: str) -> str | None:
        """The path above ``path`` that is there and no directory to go through, so that ``path`` cannot be made."""
        try:
            os.close(self.directory(path.rpartition("/")[0]))
        except InTheWay as error:
            return error.path
        except FileNotFoundError:
            pass
        return None

    def make_parents(self, path: str) -> list[str]:
        """Make the directories above ``path``; those that were made, the outermost first."""
        made: list[str] = []
        os.close(self.parent(path, True, made)[0])
        return made

    def _otherwise(
        self, fd: int, names: list[str], error: OSError, make: bool, made: list[str] | None
    ) -> int:
        """What to do where ``names[-1]`` in the directory ``fd`` cannot be opened as a directory: its descriptor."""
        if make and isinstance(error, FileNotFoundError):
            try:
                os.mkdir(names[-1], dir_fd=fd)
            except FileExistsError:
                pass
            else:
                if made is not None:
                    made.append("/".join(names))
            return os.open(names[-1], REACH | _NOFOLLOW, dir_fd=fd)
        if error.errno not in _NO_DIRECTORY:
            raise error
        return self._through(fd, names)

    def _through(self, fd: int, names: list[str]) -> int:
        """A descriptor of the directory that the link ``names[-1]`` in the directory ``fd`` leads to. Raises InTheWay."""
        path = "/".join(names)
        name = names[-1]
        link = os.open(name, _LINK, dir_fd=fd) if _PATH else -1
        try:
            st = os.fstat(link) if _PATH else os.stat(name, dir_fd=fd, follow_symlinks=False)
            is_link = stat.S_ISLNK(st.st_mode)
            if not is_link or self._follow is None or not self._follow(path, st):
                raise InTheWay(path, is_link)
            text = os.readlink("", dir_fd=link) if _PATH else os.readlink(name, dir_fd=fd)
        finally:
            if _PATH:
                os.close(link)
        try:
            return os.open(text, REACH, dir_fd=fd)
        except FileNotFoundError:
            raise InTheWay(path, True) from None
        except OSError as error:
            if error.errno in _NO_DIRECTORY:
                raise InTheWay(path, False) from None
            raise


def change_mode(fd: int, mode: int) -> None:
    """`fchmod` that also takes a descriptor that was only opened to reach. Raises OSError."""
    if _PATH:
        os.chmod(f"/proc/self/fd/{fd}", mode)
    else:
        os.fchmod(fd, mode)


def open_entry(fd: int, name: str) -> int:
    """A descriptor of ``name`` in the directory ``fd``, whatever it is (a link itself), for `fstat` and `change_mode`."""
    return os.open(name, _LINK if _PATH else os.O_RDONLY | _NOFOLLOW | _CLOEXEC, dir_fd=fd)


def open_listing(fd: int, name: str) -> int:
    """A descriptor of the directory ``name`` in ``fd`` that can be listed and changed, with the rights for that.

    Raises NotADirectoryError for everything else, also for a link, and OSError.
    """
    reach = os.open(name, REACH | _NOFOLLOW, dir_fd=fd)
    try:
        mode = stat.S_IMODE(os.fstat(reach).st_mode)
        if mode & 0o700 != 0o700:
            try:
                change_mode(reach, mode | 0o700)
            except PermissionError:
                pass
        return os.open(".", LIST, dir_fd=reach)
    finally:
        os.close(reach)
