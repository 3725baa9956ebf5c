"""Engines without transactions, of which the library warns: what is written there is never rolled back."""

import logging
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from fastapi_filestore.orm.ledger.reservations import release_reservations
from tests.rows.conftest import Rows, pending
from tests.rows.models import Document


@pytest.mark.parametrize("rows", ["sqlite-sync", "postgres-sync"], indirect=True)
@pytest.mark.parametrize("place", ["engine", "options", "connection", None])
async def test_an_engine_without_transactions_is_warned_of_once(
    rows: Rows, place: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says so when a session first uses it, wherever it was said."""
    level = {"isolation_level": "AUTOCOMMIT"}
    caplog.set_level(logging.WARNING, "fastapi_filestore")

    async with rows.work() as work:
        engine: Any = create_engine(
            await work.do(lambda s: s.get_bind().engine.url), **(level if place == "engine" else {})
        )
        used = engine.execution_options(**(level if place == "options" else {}))

        def add_two(_: Session) -> None:
            for title in "ab":
                with Session(used) as session:
                    session.connection(execution_options=level if place == "connection" else {})
                    session.add(Document(title=title, file=pending()))
                    session.commit()

        await work.do(add_two)
    await release_reservations()
    engine.dispose()

    messages = [record.getMessage().partition(" engine=")[0] for record in caplog.records]
    assert messages == (["fastapi_filestore.autocommit"] if place else [])
