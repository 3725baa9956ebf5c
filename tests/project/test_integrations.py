"""What the library works with: docs/integrations.md is what the tests say that they tried."""

from tests.project.integrations import PAGE, TABLE, integrations, table


def test_the_page_is_what_tests_say() -> None:
    """The page has each program that a test is marked with, what works, and the test; `python -m` writes it anew."""
    assert TABLE.findall(PAGE.read_text(encoding="utf-8")) == [table()]


def test_every_mark_is_found() -> None:
    """Marks of tests and of whole files are read, and each says a behaviour."""
    found = list(integrations())

    assert {"Pillow", "Alembic", "Uppy"} <= {integration.program for integration in found}
    assert all(integration.behaviour for integration in found)
