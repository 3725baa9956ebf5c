"""Lines of the log: quoted, escaped, without secrets, and with the request that they are about."""

import asyncio
import gc
import logging
import shlex
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from fastapi_filestore import StorageError, StorageUnavailableError
from fastapi_filestore.logs import Event, quote
from fastapi_filestore.web.paths import name_request

EVENT = Event("tried", logging.WARNING, "Something was tried.")
SCOPE: dict[str, Any] = {"type": "http", "method": "PUT", "path": "/documents/1/file", "headers": []}


@pytest.fixture(autouse=True)
def listening(caplog: pytest.LogCaptureFixture) -> None:
    """Hear warnings."""
    caplog.set_level(logging.WARNING, "fastapi_filestore")


def told(caplog: pytest.LogCaptureFixture, *args: Any, **facts: Any) -> str:
    """Return the line of an event."""
    caplog.clear()
    EVENT.tell(*args, **facts)
    (line,) = caplog.messages
    return line


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("ab/cd-ef_1.pdf", "ab/cd-ef_1.pdf"),
        ("two words", '"two words"'),
        ("", '""'),
        ("a=b", '"a=b"'),
        ('say "no"', r'"say \"no\""'),
        ("back\\slash", r'"back\\slash"'),
        ("one\ntwo\r\tthree", r'"one\ntwo\r\tthree"'),
        ("\x1b[31mred\x7f", r'"\u001b[31mred\u007f"'),
        ("fdp.\u202egnp", r'"fdp.\u202egnp"'),
        ("line\u2028end", r'"line\u2028end"'),
        ("half \ud800", r'"half \ud800"'),
        ("Übersicht", '"Übersicht"'),
        (True, "true"),
        (3, "3"),
        (["a", "b c"], '"a, b c"'),
        (list(map(str, range(13))), '"0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 3 more"'),
        ("x" * 3000, f'"{"x" * 2000}…"'),
    ],
)
def test_a_value_stays_on_its_line(value: object, written: str) -> None:
    """A value is quoted where it has blanks or quotes, and nothing in it ends the line or moves a cursor."""
    assert quote(value) == written
    assert written.encode("utf-8").decode() == written


def test_facts_are_in_the_message_and_in_the_extra(caplog: pytest.LogCaptureFixture) -> None:
    """The name comes first, then the facts as they were given; the same are attributes of the record."""
    line = told(caplog, backend="documents", objects=["a", "b"], attempts=3, nothing=None)
    (record,) = caplog.records

    assert line == 'fastapi_filestore.tried backend=documents objects="a, b" attempts=3'
    assert {name: vars(record)[name] for name in ("backend", "objects", "attempts")} == {
        "backend": "documents",
        "objects": ["a", "b"],
        "attempts": 3,
    }
    assert not hasattr(record, "nothing")
    assert record.msg == "fastapi_filestore.tried %s"
    assert shlex.split(line)[1] == "backend=documents"


def test_an_error_has_its_causes(caplog: pytest.LogCaptureFixture) -> None:
    """The class and the text of an error are a fact, and those of what raised it another."""
    error = StorageError("It could not be stored.")
    error.__cause__ = OSError(28, "No space left on device")
    line = told(caplog, error)

    assert line.endswith(
        'error="StorageError: It could not be stored." cause="OSError: [Errno 28] No space left on device"'
    )


def test_a_cause_that_goes_round_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """Errors that are each other's cause end."""
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one

    assert told(caplog, one).endswith('error="ValueError: one" cause="ValueError: other"')


@pytest.mark.parametrize(
    "statement", ["INSERT INTO people VALUES ('secret-value')", "SELECT 'secret-value' FROM nowhere"]
)
def test_an_error_of_a_database_has_no_statement(statement: str, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the statement nor its values are told, in the line or in a traceback."""
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE people (name TEXT CHECK (name <> 'secret-value'))"))
        with pytest.raises(DBAPIError) as raised:
            connection.execute(text(statement))
    engine.dispose()
    told(caplog, raised.value, with_traceback=True)

    assert "secret-value" in str(raised.value)
    assert "secret-value" not in caplog.text
    assert "IntegrityError (SQLITE_CONSTRAINT_CHECK)" in caplog.text or "no such table: nowhere" in caplog.text


@pytest.mark.parametrize(
    "secret",
    [
        "https://store/a?X-Amz-Signature=hidden&a=1",
        "https://store/a?X-Amz-Credential=hidden",
        "https://store/a?X-Goog-Signature=hidden",
        "https://account.blob/a?se=2026&sig=hidden%3D",
        "/filestore?sig=hidden",
        "postgresql://user:hidden@host/db",
        "AccountName=a;AccountKey=hidden==;EndpointSuffix=b",
        "password='hidden word'",
        "aws_secret_access_key=hidden",
        "X-Amz-Security-Token=hidden",
    ],
)
def test_secrets_are_left_out(secret: str, caplog: pytest.LogCaptureFixture) -> None:
    """What signs a URL and what looks like a password is in no fact, wherever it comes from."""
    told(caplog, StorageUnavailableError(f"It said {secret}"), note=secret, several=[secret])

    assert "hidden" not in caplog.text
    assert "[redacted]" in caplog.text
    assert not any("hidden" in str(value) for value in vars(caplog.records[0]).values())


@pytest.mark.parametrize(
    ("scope", "facts"),
    [
        ({}, "method=PUT path=/documents/1/file"),
        ({"path": "/a b\n"}, r'method=PUT path="/a b\n"'),
        ({"path": "/filestore/stolen-token"}, "method=PUT path=/filestore/[redacted]"),
        ({"headers": [(b"x-request-id", b"7f3a-1")]}, "method=PUT path=/documents/1/file request_id=7f3a-1"),
        ({"headers": [(b"X-Request-ID", b"a\x1b[31m")]}, "method=PUT path=/documents/1/file"),
        ({"headers": [(b"x-request-id", b"a" * 129)]}, "method=PUT path=/documents/1/file"),
        (
            {"headers": [(b"x-request-id", b"client")], "state": {"request_id": "ours"}},
            "method=PUT path=/documents/1/file request_id=ours",
        ),
        ({"state": {"correlation_id": 12}}, "method=PUT path=/documents/1/file request_id=12"),
        ({"type": "websocket", "method": None}, "method=WEBSOCKET path=/documents/1/file"),
    ],
)
async def test_a_request_is_named(scope: dict[str, Any], facts: str, caplog: pytest.LogCaptureFixture) -> None:
    """Method, path without a token, and the request's id, if that is a name and no text, are facts."""
    given = {name: value for name, value in {**SCOPE, **scope}.items() if value is not None}
    name_request(given)

    assert told(caplog, size=1) == f"fastapi_filestore.tried size=1 {facts}"


async def test_a_request_that_is_over_is_named_no_more(caplog: pytest.LogCaptureFixture) -> None:
    """A task that outlives the request in which it began does not speak for it."""
    over = asyncio.Event()

    async def tell_later() -> str:
        await over.wait()
        return told(caplog)

    async def serve() -> "asyncio.Task[str]":
        name_request(scope := dict(SCOPE))
        assert ("method=PUT" in told(caplog)) is ("state" in scope)
        return asyncio.create_task(tell_later())

    task = await asyncio.create_task(serve())
    gc.collect()
    over.set()

    assert await task == "fastapi_filestore.tried"
