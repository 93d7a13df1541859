"""Grams of CO2 equivalent for a kilowatt hour of a country's electricity. No network.

CodeCarbon's table is read where CodeCarbon is installed (its data file only, nothing of it is imported), else
the copy in table.py. Both are yearly averages of Ember and Our World in Data.
"""

from __future__ import annotations

import os
from functools import lru_cache

WORLD = 475.0
"""g/kWh where no country is given: the world's average (IEA, Global Energy and CO2 Status Report 2019)."""

_DATA = os.path.join("data", "private_infra", "global_energy_mix.json")


@lru_cache(maxsize=1)
def table() -> dict[str, float]:
    """ISO 3166 code of three letters -> g/kWh, for every country of which something is known."""
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
            return found
    from f0make.electricity.intensity_table import INTENSITY

    return INTENSITY


def intensity(country: str | None) -> float:
    """g/kWh for ``country``, an ISO 3166 code of three letters; the world's without one.

    Raises KeyError for a country that is not known.
    """
    return WORLD if country is None else table()[country]
