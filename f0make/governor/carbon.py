"""Grams of CO2 equivalent for a kilowatt hour of a country's electricity. No network.

CodeCarbon's table is read where CodeCarbon is installed (its data file only, nothing of it is imported), else
the copy in carbon_table.py. Both are yearly averages of Ember and Our World in Data.
"""

from __future__ import annotations

import os
from functools import lru_cache

WORLD = 475.0
"""g/kWh where no country is given: the world's average (IEA, Global Energy and CO2 Status Report 2019)."""

_DATA = os.path.join("data", "private_infra", "global_energy_mix.json")


@lru_cache(maxsize=1)
def _table() -> tuple[dict[str, float], str]:
    from importlib.util import find_spec
    from json import load

    try:
        spec = find_spec("codecarbon")
    except (ImportError, ValueError):
        spec = None
    for directory in (spec.submodule_search_locations or ()) if spec is not None else ():
        try:
            with open(os.path.join(directory, _DATA), encoding="utf-8") as file:
                found = {
                    code: float(about["carbon_intensity"])
                    for code, about in load(file).items()
                    if about.get("carbon_intensity") is not None
                }
        except (OSError, ValueError, TypeError, AttributeError):
            continue
        if found:
            return found, "CodeCarbon's data"
    from f0make.governor.carbon_table import INTENSITY

    return INTENSITY, "f0make's table"


def check_country(code: str) -> None:
    """Raise ValueError, with what was probably meant, when nothing is known about the country ``code``."""
    table, _ = _table()
    if code not in table:
        from f0make.recipe.nearest import nearest

        near = nearest(code, table)
        hint = f", did you mean {near}?" if near else ""
        raise ValueError(f"nothing is known about the electricity of country {code!r}{hint}")


def intensity(country: str | None) -> tuple[float, str]:
    """(g/kWh, where it is from) for ``country``, an ISO 3166 code of three letters; the world without one.

    Raises ValueError for a country that is not known.
    """
    if country is None:
        return WORLD, "world average"
    check_country(country)
    table, source = _table()
    return table[country], source
