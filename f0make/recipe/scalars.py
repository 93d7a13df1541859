"""Text to values: each converter is pure and raises ValueError with what was expected.

The message always reads "expected …, found …", so that it can be shown after the key's name as it is.
"""

from __future__ import annotations

from collections.abc import Callable

from f0make.lazy_re import later

TRUE = frozenset({"yes", "true", "on", "1", "y"})
FALSE = frozenset({"no", "false", "off", "0", "n"})
"""The words of StrictYAML's Bool, in any case of letters."""

_INT = later(r"[-+]?[0-9]+(?:_[0-9]+)*\Z")
_FLOAT = later(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?\Z")
_WITH_UNIT = later(r"((?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?) ?([A-Za-z%]*)\Z")
_COUNTRY = later(r"[A-Z]{3}\Z")

MAX_DIGITS = 18
"""Longer integers do not fit 64 bits and are surely a mistake."""

SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
SIZES = {"": 1, "b": 1} | {
    f"{prefix}{suffix}": base**power
    for power, prefix in enumerate("kmgtp", 1)
    for suffix, base in (("b", 1000), ("ib", 1024))
}
KWH = {"j": 1 / 3_600_000, "wh": 0.001, "kwh": 1.0}
"""Energy units in kilowatt hours; 1 kWh is 3.6 MJ by definition."""
GRAMS = {"mg": 0.001, "g": 1.0, "kg": 1000.0, "t": 1_000_000.0}


def shown(text: str) -> str:
    """``text`` as a message quotes it: in quotes, short, on one line."""
    if not text:
        return "nothing"
    return repr(text if len(text) <= 40 else text[:39] + "…")


def to_bool(text: str) -> bool:
    """`yes`, `true`, `on`, `1`, `y` or `no`, `false`, `off`, `0`, `n`, in any case of letters.

    Raises:
        ValueError: any other text.
    """
    word = text.lower()
    if word in TRUE:
        return True
    if word in FALSE:
        return False
    raise ValueError(f"expected yes or no, found {shown(text)}")


def to_int(text: str, least: int | None = None, most: int | None = None) -> int:
    """A decimal integer, `_` allowed between digits, not below ``least`` nor above ``most``.

    Raises:
        ValueError: anything else.
    """
    if not _INT.match(text) or len(text) > MAX_DIGITS:
        raise ValueError(f"expected {_range('an integer', least, most)}, found {shown(text)}")
    value = int(text.replace("_", ""))
    if (least is not None and value < least) or (most is not None and value > most):
        raise ValueError(f"expected {_range('an integer', least, most)}, found {shown(text)}")
    return value


def to_count(text: str) -> int:
    """An integer of 0 or more.

    Raises:
        ValueError: anything else.
    """
    return to_int(text, least=0)


def to_exit_code(text: str) -> int:
    """An exit code, 0 to 255.

    Raises:
        ValueError: anything else.
    """
    return to_int(text, least=0, most=255)


def to_float(text: str) -> float:
    """A finite decimal number.

    Raises:
        ValueError: anything else, infinity and "not a number" included.
    """
    value = float(text) if _FLOAT.match(text) else float("inf")
    if abs(value) == float("inf"):
        raise ValueError(f"expected a number, found {shown(text)}")
    return value


def to_positive(text: str) -> float:
    """A finite decimal number above 0.

    Raises:
        ValueError: anything else.
    """
    value = _try(to_float, text)
    if value is None or value <= 0:
        raise ValueError(f"expected a number above 0, found {shown(text)}")
    return value


def to_duration(text: str) -> float:
    """Seconds of `500ms`, `10s`, `5m`, `2h`, `1d` or a plain number (seconds); 0 or more.

    Raises:
        ValueError: anything else.
    """
    value = _with_unit(text, SECONDS, fold=False)
    if value is None:
        raise ValueError(f"expected a duration such as 500ms, 10s, 5m, 2h or 1d, found {shown(text)}")
    return value


def to_timeout(text: str) -> float:
    """Like `to_duration`, but above 0.

    Raises:
        ValueError: anything else.
    """
    value = to_duration(text)
    if value <= 0:
        raise ValueError(f"expected a duration above 0, found {shown(text)}")
    return value


def to_size(text: str) -> int:
    """Bytes of `500MB`, `2GB` (powers of 1000), `1GiB` (powers of 1024) or a plain number (bytes).

    Letters of either case; kilo to peta.

    Raises:
        ValueError: anything else.
    """
    value = _with_unit(text, SIZES)
    if value is None:
        raise ValueError(f"expected a size such as 500MB, 2GB or 1GiB, found {shown(text)}")
    return round(value)


def to_percent(text: str) -> float:
    """The number before the `%` sign, above 0 and at most 100.

    Raises:
        ValueError: anything else, a missing `%` included.
    """
    value = _with_unit(text, {"%": 1.0})
    if value is None or not 0 < value <= 100:
        raise ValueError(f"expected a percentage above 0% and up to 100%, such as 80%, found {shown(text)}")
    return value


def to_energy(text: str) -> float:
    """Kilowatt hours of `0.2kWh`, `200Wh` or `3600J`; above 0.

    Raises:
        ValueError: anything else, a missing unit included.
    """
    value = _with_unit(text, KWH)
    if not value:
        raise ValueError(f"expected an energy above 0 such as 0.2kWh, 200Wh or 3600J, found {shown(text)}")
    return value


def to_carbon(text: str) -> float:
    """Grams of `50g`, `1.5kg`, `500mg` or `0.1t` (of CO2 equivalent); above 0.

    Raises:
        ValueError: anything else, a missing unit included.
    """
    value = _with_unit(text, GRAMS)
    if not value:
        raise ValueError(f"expected a mass of CO2 above 0 such as 50g or 1.5kg, found {shown(text)}")
    return value


def to_country(text: str) -> str:
    """An ISO 3166 code of three capitals (`FRA`) of a country whose electricity something is known about.

    Raises:
        ValueError: anything else.
    """
    if not _COUNTRY.match(text):
        raise ValueError(f"expected a country's three-letter ISO code such as FRA, found {shown(text)}")
    from f0make.electricity.intensity import table
    from f0make.suggest import did_you_mean

    known = table()
    if text not in known:
        near = did_you_mean(text, known)
        hint = f" ({near})" if near else ""
        raise ValueError(f"nothing is known about the electricity of country {shown(text)}{hint}")
    return text


def to_memory_limit(text: str) -> int:
    """Like `to_size`, but above 0.

    Raises:
        ValueError: anything else.
    """
    value = to_size(text)
    if value <= 0:
        raise ValueError(f"expected a size above 0, found {shown(text)}")
    return value


def to_resource(name: str, text: str) -> float | int:
    """The amount of resource ``name``: `cpu` a number above 0, `mem` and `disk` bytes, others a count.

    Raises:
        ValueError: an amount that does not fit the name.
    """
    if name == "cpu":
        return to_positive(text)
    if name in ("mem", "disk"):
        return to_size(text)
    return to_count(text)


def _with_unit(text: str, units: dict[str, float] | dict[str, int], fold: bool = True) -> float | None:
    """``text`` in the base unit, or None; a number times 1 stays exact."""
    found = _WITH_UNIT.match(text)
    if not found:
        return None
    factor = units.get(found[2].lower() if fold else found[2])
    if factor is None:
        return None
    number = found[1]
    if isinstance(factor, int) and number.isdigit() and len(number) <= MAX_DIGITS:
        return int(number) * factor
    value = float(number) * factor
    return value if value < 1e18 else None


def _range(what: str, least: int | None, most: int | None) -> str:
    if least is not None and most is not None:
        return f"{what} from {least} to {most}"
    if least is not None:
        return f"{what} of {least} or more"
    return f"{what} of at most {most}" if most is not None else what


def _try(convert: Callable[[str], float], text: str) -> float | None:
    try:
        return convert(text)
    except ValueError:
        return None
