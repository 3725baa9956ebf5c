"""Tell of a mapped class's attributes what its columns do not say."""

from collections.abc import Iterable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeAlias

from sqlalchemy import Column, ColumnElement
from sqlalchemy.orm import ColumnProperty, Mapper
from sqlalchemy.sql import visitors

AnyMapper: TypeAlias = Mapper[Any]
AnyProperty: TypeAlias = ColumnProperty[Any]
AnyElement: TypeAlias = ColumnElement[Any]
AnyColumn: TypeAlias = Column[Any]


def owned_names(mapper: AnyMapper) -> frozenset[str]:
    """Return the names of the attributes that SQLAlchemy gives values to.

    These are what tells the class of a row (`polymorphic_on`; of an expression, every column in it), the counter of its
    versions (`version_id_col`), and what joins the table of a class to that of its base.
    """
    family = {*mapper.iterate_to_root(), *mapper.self_and_descendants}
    owned = [
        column
        for relative in family
        for expression in (relative.polymorphic_on, relative.version_id_col)
        for column in _columns_in(expression)
    ]
    joining = [  # the columns of a class's own table that repeat those of its base
        column
        for relative in family
        if relative.inherits is not None and relative.local_table is not relative.inherits.local_table
        for column in _columns_in(relative.inherit_condition)
        if _is_among(column, relative.local_table.c)
    ]
    names = {
        prop.key
        for prop in mapper.column_attrs
        if any(_is_among(column, owned) for column in prop.columns)
        or all(_is_among(column, joining) for column in prop.columns)
    }
    composed = {composite.key for composite in mapper.composites if names & {prop.key for prop in composite.props}}
    return frozenset({*names, *composed, *(key for key, synonym in mapper.synonyms.items() if synonym.name in names)})


def _columns_in(expression: object) -> Iterator[AnyElement]:
    if isinstance(expression, ColumnElement):
        yield from (element for element in visitors.iterate(expression) if isinstance(element, ColumnElement))


def _is_among(column: AnyElement, others: Iterable[AnyElement]) -> bool:
    return any(column.shares_lineage(other) for other in others)


def has_generated_value(mapper: AnyMapper, prop: AnyProperty) -> bool:
    """Tell whether a dataclass makes up a value by itself: with a factory, or in any way if it is the key's."""
    known = fields(mapper.class_) if is_dataclass(mapper.class_) else ()
    field = next((field for field in known if field.name == prop.key), None)
    if field is None:
        return False
    if prop.columns[0].primary_key and (not field.init or field.default is not MISSING):
        return True
    # A plain default that the constructor does not take is a factory, too, and the column's own.
    return field.default_factory is not MISSING and getattr(prop.columns[0], "default", None) is None
