"""Columns of every type: what a client may write, and that what it may not is a problem, never a crash."""

import json
from typing import Any

from tests.web.site import Site, problem_in
from tests.web.typed_columns import BEYOND_THE_CALENDAR, site

__all__ = ["site"]

VALUES: dict[str, tuple[list[Any], list[Any]]] = {
    "auto": (["abcde"], ["abcdef", 5, {"a": 1}, ["a"], True]),
    "old_auto": (["abcde"], ["abcdef", 5, {"a": 1}, ["a"], True]),
    "lower": (["abcde"], ["abcdef", 5, {"a": 1}, ["a"]]),
    "bare": (["abcde"], ["abcdef", 5, {"a": 1}, ["a"]]),
    "address": ([{"street": "s", "number": 1}], ["s", {"street": "s"}, {"street": "s", "number": "x"}, 5, [1]]),
    "size": (["s"], ["SMALL", "x", {"a": 1}, 5]),
    "cents": (["1.25"], ["x", {"a": 1}, [1]]),
    "plainly": (["text"], [{"a": 1}]),
    "said": ([], ["x", {"a": 1}]),
    "opaque": (["text"], [{"a": 1}]),
    "enum": (["s"], ["SMALL", "x", {"a": 1}]),
    "words": (["a"], ["c", "A", 5, {"a": 1}, ["a"]]),
    "literal": (["a"], ["c", 5, {"a": 1}]),
    "variant": (["abcde"], ["abcdef", 5, {"a": 1}]),
    "lasted": (["PT5S"], ["x", {"a": 1}]),
    "moment": (
        ["2026-11-27T10:00:00", "0001-01-01T00:00:00", "9999-12-31T23:59:59"],
        ["x", {"a": 1}, "2026-13-01", *BEYOND_THE_CALENDAR],
    ),
    "instant": ([], ["x", *BEYOND_THE_CALENDAR]),
    "free": ([], ["x", "1e131071", "1e-131071", "9" * 1001]),
    "uuid": (["01234567-89ab-cdef-0123-456789abcdef"], ["x", {"a": 1}]),
    "uuid_text": (["01234567-89ab-cdef-0123-456789abcdef"], ["x", "", {"a": 1}]),
    "wide": ([{"a": 1}, [1], "x"], []),
    "noted": ([{"a": 1}], [[1], "x", 5]),
}


GOOD = [(name, value) for name, (good, _) in VALUES.items() for value in good]


BAD = [(name, value) for name, (_, bad) in VALUES.items() for value in bad]


def in_form(value: Any) -> str:
    """Write a value as a form's field."""
    return value if isinstance(value, str) else json.dumps(value)


async def test_what_fits_is_taken(site: Site) -> None:
    """A value that the column is for is in the row, and is read as it was sent, by a change and by a form."""
    for name, value in GOOD:
        changed = await site.client.patch("/rows/1", json={name: value})
        text = json.dumps(value) if name in {"wide", "noted", "address"} else in_form(value)
        created = await site.client.post("/rows/", files={"file": b"a"}, data={name: text})

        assert (changed.status_code, changed.json().get(name)) == (200, value), (name, changed.text)
        assert (created.status_code, created.json().get(name)) == (201, value), (name, created.text)
    assert (await site.client.get("/rows/")).status_code == 200


async def test_what_does_not_fit_is_a_problem(site: Site) -> None:
    """A value of another type, or too long, is a 422 that changes nothing, however deep it was noticed."""
    before = (await site.client.get("/rows/1")).json()
    for name, value in BAD:
        changed = await site.client.patch("/rows/1", json={name: value})

        assert changed.status_code == 422, (name, value, changed.text)
        problem_in(changed, 422, "invalid-fields")
    assert (await site.client.get("/rows/1")).json() == before


async def test_a_form_that_does_not_fit_is_a_problem(site: Site) -> None:
    """The same of a new row; what is text in a form may be a number's or a list's, which some columns take as text.

    An empty text that is none is no problem: in a form it was not sent.
    """
    for name, value in BAD:
        if isinstance(value, str) and value:
            text = json.dumps(value) if name in {"noted", "address"} else value
            created = await site.client.post("/rows/", files={"file": b"a"}, data={name: text})

            assert created.status_code == 422, (name, value, created.text)
    assert (await site.client.get("/rows/")).json()["items"][0]["id"] == 1
