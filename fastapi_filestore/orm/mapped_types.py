"""Mapped classes, the states and keys of their rows, columns, expressions and types, whichever they are."""

from typing import Any, TypeAlias

from sqlalchemy import Column, ColumnElement
from sqlalchemy.orm import InstanceState, Mapper
from sqlalchemy.types import TypeEngine

AnyMapper: TypeAlias = Mapper[Any]
RowState: TypeAlias = InstanceState[Any]
AnyColumn: TypeAlias = Column[Any]
AnyExpression: TypeAlias = ColumnElement[Any]
AnyType: TypeAlias = TypeEngine[Any]
Identity: TypeAlias = tuple[Any, ...]
"""The values of a primary key."""
