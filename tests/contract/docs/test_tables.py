"""The tables of the documentation say what f0make's own say."""

from __future__ import annotations

from tests.support.doc_tables import TABLES, pages, tables_of, with_tables


def test_the_pages_are_as_the_tables_are() -> None:
    found: list[str] = []
    for path in pages():
        page = path.read_text(encoding="utf-8")
        found += tables_of(page)
        assert with_tables(page) == page, f"{path.name}: `make tables` writes its tables anew"
    assert sorted(found) == sorted(TABLES)
