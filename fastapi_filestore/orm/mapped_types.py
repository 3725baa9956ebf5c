"""Mapped classes, the states of their rows, and columns and expressions, whatever class or type it is."""

from typing import Any, TypeAlias

from sqlalchemy import Column, ColumnElement
from sqlalchemy.orm import InstanceState, Mapper

AnyMapper: TypeAlias = Mapper[Any]
RowState: TypeAlias = InstanceState[Any]
AnyColumn: TypeAlias = Column[Any]
AnyExpression: TypeAlias = ColumnElement[Any]
Identity: TypeAlias = tuple[Any, ...]
"""The values of a primary key."""
