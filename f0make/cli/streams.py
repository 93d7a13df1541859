"""Standard output and error that hold whatever a name may hold, in any locale, and may be closed."""

from __future__ import annotations

import codecs
import errno
import os
import sys

from f0make.errors import F0makeError, UsageError
from f0make.visible import visible, visible_block

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO


HANDLER = "f0make"


def _handle(error: UnicodeError) -> tuple[bytes | str, int]:
    """Undecodable bytes of file names go out as they came in; what the locale cannot show, as an escape."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    found = error.object[error.start : error.end]
    parts = [
        bytes([ord(c) - 0xDC00]) if "\udc80" <= c <= "\udcff" else c.encode("ascii", "backslashreplace")
        for c in found
    ]
    return b"".join(parts), error.end


def prepare() -> None:
    """Make `sys.stdout` and `sys.stderr` usable, whatever state they were handed over in."""
    codecs.register_error(HANDLER, _handle)
    _occupy()
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the caller (`>&-`)
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=HANDLER)
        if not isinstance(getattr(sys, name), Visible):
            setattr(sys, name, Visible(getattr(sys, name)))


class Visible:
    """A text stream to which nothing is written that could act on a terminal: see `f0make.visible`.

    What f0make itself means to act on one (rich's display) is written to ``stream``.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write ``text``, control characters but line breaks and tabs as escapes."""
        return self.stream.write(visible_block(text))

    def __getattr__(self, name: str) -> Any:
        """Everything else is the stream's own."""
        return getattr(self.stream, name)


def acting(stream: Any) -> Any:
    """The stream below, for what may act on a terminal."""
    return stream.stream if isinstance(stream, Visible) else stream


def _occupy() -> None:
    """Give closed standard streams a file, so that no pipe or log takes their number and gets their output."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number: this one


def mute(stream: TextIO) -> None:
    """Drop what ``stream`` still holds and all that follows, so that no flush at exit complains."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
    except (OSError, ValueError):
        pass


def say(text: str) -> None:
    """Print a line of a verb that also changes something: it goes on when its output is not read any more (`| head -1`)."""
    try:
        print(text)
        sys.stdout.flush()
    except BrokenPipeError:
        mute(sys.stdout)


def write_bytes(data: bytes) -> None:
    """``data`` as it is on standard output."""
    sys.stdout.flush()
    binary: Any = getattr(sys.stdout, "buffer", None)
    if binary is None:
        sys.stdout.write(data.decode("utf-8", "surrogateescape"))
    else:
        binary.write(data)
        binary.flush()


def write_file(path: str, data: bytes, verb: str, recipe: str) -> None:
    """Write the file of ``verb``'s `-o` in one go: readers see the old one or the new one. `-` is standard output.

    What is there and no file, such as /dev/stdout or a FIFO, is written into; a link to a file leads to the one that
    is replaced. Raises UsageError, F0makeError.
    """
    if path == "-":
        write_bytes(data)
        return
    if not path:
        raise UsageError(f"{verb} -o: expected the name of a file")
    try:
        if os.path.exists(path):
            if os.path.exists(recipe) and os.path.samefile(path, recipe):
                raise UsageError(f"{verb} -o {path}: this is the recipe itself; name another file")
            if not os.path.isfile(path):
                with open(path, "wb") as there:
                    there.write(data)
                return
        place = os.path.realpath(path)
        temporary = f"{place}.f0make-{os.getpid()}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            with open(temporary, "wb", opener=lambda name, _: os.open(name, flags, 0o666)) as file:
                file.write(data)
            os.replace(temporary, place)
        except OSError as error:
            if error.errno != errno.EEXIST and os.path.lexists(temporary):
                os.unlink(temporary)
            raise
    except BrokenPipeError:
        raise
    except OSError as error:
        text = f"{verb} -o {path}: {error.strerror}"
        raise (F0makeError if error.errno in (errno.ENOSPC, errno.EIO, errno.EDQUOT) else UsageError)(
            text
        ) from None


shown = visible
shown_block = visible_block
