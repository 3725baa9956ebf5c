"""Mapped classes and the states of their rows, whatever class it is."""

from typing import Any, TypeAlias

from sqlalchemy.orm import InstanceState, Mapper

AnyMapper: TypeAlias = Mapper[Any]
RowState: TypeAlias = InstanceState[Any]
