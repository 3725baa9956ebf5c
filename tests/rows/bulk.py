"""Statements in bulk, and what they are about."""

from typing import Any

from tests.rows.conftest import Work


async def run(work: Work, statement: Any, parameters: Any = None) -> None:
    """Execute a statement and commit."""
    await work.execute(statement, parameters)
