"""The page on problems says what the code does."""

from tests.web.reasons import PAGE, replace_section


def test_the_page_has_every_reason() -> None:
    """The tables of reasons are the code's own; `python -m tests.web.reasons` makes them so."""
    text = PAGE.read_text()

    assert text == replace_section(text)
