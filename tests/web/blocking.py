"""Applications whose sessions block, and requests that want the same row."""

import os
from typing import Any

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from fastapi_filestore import FileObject, StoredObject, add_ledger


class Ledgered(DeclarativeBase):
    """Tables with a ledger."""


class Plain(DeclarativeBase):
    """Tables without one."""


add_ledger(Ledgered.metadata)


class Counted:
    """A row that all requests change, which each of them locks."""

    __tablename__ = "counted"

    id: Mapped[int] = mapped_column(primary_key=True)
    seen: Mapped[int] = mapped_column(default=0)


class Filed:
    """A row with a file."""

    __tablename__ = "filed"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(default="")
    file: Mapped[FileObject | None] = mapped_column(StoredObject("web"))


class LedgeredCounted(Counted, Ledgered):
    """One with a ledger."""


class LedgeredFiled(Filed, Ledgered):
    """One with a ledger."""


class PlainCounted(Counted, Plain):
    """One without a ledger."""


class PlainFiled(Filed, Plain):
    """One without a ledger."""


MODELS: dict[str, tuple[Any, Any]] = {
    "ledger": (LedgeredCounted, LedgeredFiled),
    "plain": (PlainCounted, PlainFiled),
}


TRIED = [
    (database, models)
    for database, usual in (("sqlite", "plain"), ("postgresql", "ledger"))
    for models in MODELS
    if models == usual or "EVERY_KIND" in os.environ
]
"""Both databases, with a ledger and without; each with both where EVERY_KIND is set."""
