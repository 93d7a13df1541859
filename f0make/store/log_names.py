"""Where the log of an instance lies. Pure."""

from __future__ import annotations

from f0make.files.sha import sha256


class _Safe(dict[int, str]):
    """For `str.translate`: every character that may not stand in a name becomes `_`."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        safe = code < 128 and (character.isalnum() or character in "_.-=,")
        self[code] = character if safe else "_"
        return self[code]


_SAFE = _Safe()


def log_name(recipe: str, instance: str) -> str:
    """File name of the log of ``instance`` of ``recipe`` inside `.f0make/logs`: readable, safe and unique.

    Letters, digits and ``_.-=,`` of the instance's name stay; a digest of both keeps different ones apart.
    """
    plain = instance[:80].translate(_SAFE)
    whole = f"{recipe}\0{instance}".encode("utf-8", "surrogateescape")
    return f"{plain}.{sha256(whole).hexdigest()[:10]}.log"


def attempt_log(log: str, number: int) -> str:
    """Where the log of the attempt ``number`` is kept when another one followed; ``log``: the last attempt's."""
    return f"{log.removesuffix('.log')}.{number}.log"
