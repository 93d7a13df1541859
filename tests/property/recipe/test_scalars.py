"""Text to values: what each converter takes, and that it says what it wanted otherwise."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from f0make.recipe import scalars
from f0make.suggest import nearest


@pytest.mark.parametrize(
    ("convert", "text", "value"),
    [
        (scalars.to_bool, "yes", True),
        (scalars.to_bool, "Y", True),
        (scalars.to_bool, "ON", True),
        (scalars.to_bool, "1", True),
        (scalars.to_bool, "False", False),
        (scalars.to_bool, "n", False),
        (scalars.to_bool, "0", False),
        (scalars.to_int, "-12", -12),
        (scalars.to_int, "+4_000", 4000),
        (scalars.to_int, "007", 7),
        (scalars.to_float, "1.5e3", 1500.0),
        (scalars.to_float, ".5", 0.5),
        (scalars.to_float, "-2.", -2.0),
        (scalars.to_duration, "500ms", 0.5),
        (scalars.to_duration, "10s", 10.0),
        (scalars.to_duration, "1.5h", 5400.0),
        (scalars.to_duration, "5 m", 300.0),
        (scalars.to_duration, "1d", 86400.0),
        (scalars.to_duration, "90", 90.0),
        (scalars.to_duration, "0", 0.0),
        (scalars.to_size, "500MB", 500_000_000),
        (scalars.to_size, "2GB", 2_000_000_000),
        (scalars.to_size, "1GiB", 2**30),
        (scalars.to_size, "1.5KiB", 1536),
        (scalars.to_size, "2 gb", 2_000_000_000),
        (scalars.to_size, "4096", 4096),
        (scalars.to_size, "12B", 12),
        (scalars.to_size, "3TiB", 3 * 2**40),
        (scalars.to_percent, "80%", 80.0),
        (scalars.to_energy, "0.2kWh", 0.2),
        (scalars.to_energy, "200Wh", 0.2),
        (scalars.to_energy, "3600000J", 1.0),
        (scalars.to_carbon, "50g", 50.0),
        (scalars.to_carbon, "1.5kg", 1500.0),
        (scalars.to_country, "FRA", "FRA"),
        (scalars.to_exit_code, "255", 255),
    ],
)
def test_values(convert, text, value) -> None:  # type: ignore[no-untyped-def]
    result = convert(text)
    assert result == pytest.approx(value) if isinstance(value, float) else result == value
    assert type(result) is type(value) or isinstance(value, float)


@pytest.mark.parametrize(
    ("convert", "text"),
    [
        (scalars.to_bool, ""),
        (scalars.to_bool, "ja"),
        (scalars.to_bool, "yes "),
        (scalars.to_int, "_"),
        (scalars.to_int, "1.0"),
        (scalars.to_int, "1__0"),
        (scalars.to_int, "3\n"),
        (scalars.to_int, "٣"),
        (scalars.to_int, "9" * 19),
        (scalars.to_count, "-1"),
        (scalars.to_exit_code, "256"),
        (scalars.to_float, "nan"),
        (scalars.to_float, "inf"),
        (scalars.to_float, "1e999"),
        (scalars.to_positive, "0"),
        (scalars.to_duration, "5min"),
        (scalars.to_duration, "5M"),
        (scalars.to_duration, "-1s"),
        (scalars.to_duration, "s"),
        (scalars.to_duration, "1h30m"),
        (scalars.to_duration, "1e30d"),
        (scalars.to_timeout, "0ms"),
        (scalars.to_size, "2 GB free"),
        (scalars.to_size, "1G"),
        (scalars.to_size, "-1GB"),
        (scalars.to_size, "1e40GB"),
        (scalars.to_percent, "80"),
        (scalars.to_percent, "101%"),
        (scalars.to_energy, "5"),
        (scalars.to_carbon, "50"),
        (scalars.to_country, "Fra"),
    ],
)
def test_refusals_say_what_was_expected(convert, text) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=r"^expected .*, found ") as caught:
        convert(text)
    assert "\n" not in str(caught.value)


def test_resources_by_name() -> None:
    assert scalars.to_resource("cpu", "0.5") == 0.5
    assert scalars.to_resource("mem", "2GB") == 2_000_000_000
    assert scalars.to_resource("disk", "1MiB") == 2**20
    assert scalars.to_resource("gpu", "2") == 2
    with pytest.raises(ValueError, match="integer"):
        scalars.to_resource("gpu", "2GB")
    with pytest.raises(ValueError, match="above 0"):
        scalars.to_resource("cpu", "0")


ALL = [
    scalars.to_bool, scalars.to_int, scalars.to_float, scalars.to_duration, scalars.to_size, scalars.to_percent,
    scalars.to_energy, scalars.to_carbon, scalars.to_country, scalars.to_positive, scalars.to_timeout,
]  # fmt: skip


@given(
    st.sampled_from(ALL),
    st.one_of(st.text(), st.from_regex(re.compile(r"[0-9._eE+-]{1,40} ?[a-zA-Z%]{0,4}"))),
)
def test_nothing_but_valueerror(convert, text) -> None:  # type: ignore[no-untyped-def]
    try:
        convert(text)
    except ValueError as error:
        assert str(error).startswith("expected ")


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("retires", "retries"),
        ("Retries", "retries"),
        ("retry-delay", "retry_delay"),
        ("colour", None),
        ("x" * 500, None),
    ],
)
def test_nearest(word: str, meant: str | None) -> None:
    assert nearest(word, ["retries", "retry_delay", "run", "runs_on", "inputs"]) == meant
