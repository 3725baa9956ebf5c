"""Rows of one model through a plain `Session`: the part of the service that SQLAlchemy runs."""

from collections.abc import Mapping
from typing import Any, TypeVar

from sqlalchemy import inspect
from sqlalchemy.orm import Session

from fastapi_filestore.errors import InvalidFieldsError, RowNotFoundError
from fastapi_filestore.service.refusals import refused_rows, refused_values

ModelT = TypeVar("ModelT")


def build(model: type[ModelT], values: Mapping[str, object]) -> ModelT:
    """Make a row that is not yet in any session."""
    check_names(model, values)
    return model(**values)


def check_names(model: type[Any], values: Mapping[str, object]) -> None:
    """Raise `InvalidFieldsError` for values that the model has no attribute for."""
    known = inspect(model).attrs.keys()
    unknown = [name for name in values if name not in known]
    if unknown:
        raise InvalidFieldsError(
            [{"loc": (name,), "msg": f"{model.__name__} has no such attribute", "type": "extra"} for name in unknown]
        )


def add(session: Session, row: object) -> None:
    """Write a new row."""
    session.add(row)
    flush(session, row)


def fetch(session: Session, model: type[ModelT], identity: object) -> ModelT:
    """Read a row; `RowNotFoundError` if there is none."""
    missing = RowNotFoundError(model.__name__, identity)
    with refused_values(missing):
        row = session.get(model, identity)
    if row is None:
        raise missing
    return row


def require(session: Session, model: type[Any], identity: object) -> None:
    """Raise `RowNotFoundError` if there is no such row, and give the connection back: bytes move next."""
    outside = not session.in_transaction()
    try:
        fetch(session, model, identity)
    finally:
        if outside:
            session.rollback()


def change(session: Session, model: type[ModelT], identity: object, values: Mapping[str, object]) -> ModelT:
    """Set attributes of a row."""
    row = fetch(session, model, identity)
    for name, value in values.items():
        setattr(row, name, value)
    flush(session, row)
    return row


def remove(session: Session, model: type[Any], identity: object) -> None:
    """Delete a row."""
    row = fetch(session, model, identity)
    session.delete(row)
    flush(session, row)


def flush(session: Session, row: object) -> None:
    """Write what is pending, and read back what the database made of the row."""
    with refused_rows(type(row).__name__):
        session.flush()
    state = inspect(row)
    made = state.expired_attributes & set(state.mapper.column_attrs.keys())
    if made and state.persistent:
        session.refresh(row, attribute_names=made)


def commit(session: Session, name: str) -> None:
    """Commit; `RowConflictError` if a constraint that is checked last is broken."""
    with refused_rows(name):
        session.commit()


def rollback(session: Session) -> None:
    """Undo the rows and the bytes of the transaction."""
    session.rollback()
