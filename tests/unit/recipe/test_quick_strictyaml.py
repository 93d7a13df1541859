"""strictyaml is imported without `dateutil.parser`, and dates work all the same for whoever uses them."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys
from f0make.recipe.quick_strictyaml import import_strictyaml
import_strictyaml()
assert "dateutil.parser._parser" not in sys.modules and "dateutil.parser" not in sys.modules
import strictyaml
assert strictyaml.load("a: x", strictyaml.Map({"a": strictyaml.Str()})).data == {"a": "x"}
assert "dateutil.parser" not in sys.modules
USE
import dateutil.parser
assert dateutil.parser.parse("2020-02-03").day == 3 and dateutil.parser.isoparse("2020-02-03").day == 3
assert strictyaml.load("a: 2020-01-02", strictyaml.Map({"a": strictyaml.Datetime()})).data["a"].day == 2
"""
DATE_FIRST = 'strictyaml.load("a: 2020-01-02", strictyaml.Map({"a": strictyaml.Datetime()}))'


def test_dates_are_left_out_until_somebody_needs_them() -> None:
    for use in ("", DATE_FIRST):
        subprocess.run([sys.executable, "-c", SCRIPT.replace("USE", use)], check=True)


def test_a_parser_that_is_there_stays() -> None:
    script = (
        "import dateutil.parser as p\n"
        + SCRIPT.split("assert")[0]
        + "import dateutil.parser as q\nassert p is q\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
