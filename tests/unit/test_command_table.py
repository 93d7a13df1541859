"""The table of options says of those that have typed fields what the code does with them."""

from __future__ import annotations

import re

from f0make.cli.arguments import CHECKS
from f0make.command_table import ANSWER, APART, FULL, HARMLESS, OPTIONS, VERBS
from f0make.fast_dataclass import fields
from f0make.options import RunOptions
from f0make.store.snapshot import request_of
from tests.support.paths import PROJECT

TOGETHER = {"budget", "patience", "cluster"}
"""Values that are checked by what uses them, all at once."""


def test_fields_of_run_options_are_options_with_the_same_defaults() -> None:
    typed = {field.name for field in fields(RunOptions)} - {"targets", "extra"}
    assert typed <= OPTIONS.keys()
    options = RunOptions()
    assert {name: getattr(options, name) for name in typed} == {
        name: {} if name == "resource" else OPTIONS[name].default for name in typed
    }


def test_every_value_is_checked_somewhere() -> None:
    assert {option.value for option in OPTIONS.values()} == {"", *CHECKS, *TOGETHER}


def test_every_option_is_one_of_a_verb() -> None:
    assert {option.field for verb in VERBS.values() for option in verb.options} == OPTIONS.keys()


def test_what_an_option_is_to_a_snapshot() -> None:
    given = {"recipe": "r.yaml"}
    plain = request_of(given)
    roles = set()
    for field, option in OPTIONS.items():
        if field in ("recipe", "jobs", "backend", "dask_ca", "dask_cert", "dask_key"):
            continue  # an argument, too; what they say is looked at
        request = request_of({**given, field: ["x"] if option.kind == "many" else "x"})
        roles.add(option.request)
        if option.request == ANSWER:
            assert request not in (None, plain), field
        elif option.request == HARMLESS:
            assert request == plain, field
        else:
            assert request is None, field
    assert roles == {ANSWER, HARMLESS, FULL, APART}


def test_no_other_module_lists_options() -> None:
    """A tuple of several options by their fields anywhere else would be a second table."""
    named = "|".join(field for field in OPTIONS if "_" in field)
    several = re.compile(rf'"({named})",\s*"({named})"')
    for path in (PROJECT / "f0make").rglob("*.py"):
        assert not several.search(path.read_text(encoding="utf-8")), path
