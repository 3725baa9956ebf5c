"""Tell of a mapped class's attributes what its columns do not say, and what a `read=` schema can show of them."""

from collections.abc import Iterable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from inspect import get_annotations
from typing import Any, TypeAlias, get_args

from pydantic import BaseModel, RootModel
from pydantic.fields import FieldInfo
from sqlalchemy import Column, ColumnElement, inspect
from sqlalchemy.orm import ColumnProperty, Mapper, QueryableAttribute, RelationshipProperty
from sqlalchemy.sql import visitors

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.web.receiving.form_fields import names_of

AnyMapper: TypeAlias = Mapper[Any]
AnyProperty: TypeAlias = ColumnProperty[Any]
AnyElement: TypeAlias = ColumnElement[Any]
AnyColumn: TypeAlias = Column[Any]

_NEVER_LOADED = {"raise", "raise_on_sql"}


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


def has_more_than_columns(model: type, read: type[BaseModel]) -> bool:
    """Tell whether a schema reads attributes of a row that are not loaded with it: deferred ones, relationships."""
    mapper: AnyMapper = inspect(model)
    columns = {prop.key for prop in mapper.column_attrs if not prop.deferred}
    columns |= {f"{name}_error" for name in columns}
    aliases = {name: field.validation_alias for name, field in read.model_fields.items()}
    return not {alias if isinstance(alias, str) else name for name, alias in aliases.items()} <= columns


def require_readable(model: type, read: type[BaseModel], *, outer: frozenset[type] = frozenset()) -> None:
    """Raise `ConfigurationError` for a field that no row of a model can give a value to.

    The model lacks the attribute, or forbids to load it. What a schema of the user's makes of rows by itself is not
    known, nor are attributes that a class makes up as it is asked for them.
    """
    makes_its_own = any(
        validator.info.mode != "after" for validator in read.__pydantic_decorators__.model_validators.values()
    )
    makes_up_attributes = any(
        name in vars(cls) for cls in model.__mro__[:-1] for name in ("__getattr__", "__getattribute__")
    )
    if read in outer or issubclass(read, RootModel) or makes_its_own or makes_up_attributes:
        return
    # Not asked of the class itself, where a hybrid property may have no sense.
    known = {*inspect(model).all_orm_descriptors.keys()}
    known.update(name for cls in model.__mro__ for name in (*vars(cls), *get_annotations(cls)))
    for name, field in read.model_fields.items():
        found = [attribute for attribute in names_of(read, name, field) if attribute in known]
        if found:
            if found[0] in inspect(model).attrs:
                _require_loadable(getattr(model, found[0]), f"{read.__name__}.{name}", field, outer | {read})
        elif field.is_required():
            raise ConfigurationError(
                f"{read.__name__}.{name}: {model.__name__} has no attribute {name!r}, so no row could be shown. Give "
                "the field a default, or the name of an attribute as its alias, or add a property to the model."
            )


def _require_loadable(
    attribute: QueryableAttribute[Any], shown_by: str, field: FieldInfo, outer: frozenset[type]
) -> None:
    forbidden, prop = None, attribute.property
    if isinstance(prop, RelationshipProperty):
        schemas = list(_schemas_in(field.annotation))
        # A collection that is only written to is no list; a validator of the user's may make one of it.
        if prop.lazy in _NEVER_LOADED or (prop.lazy == "write_only" and not field.metadata):
            forbidden = f"lazy={prop.lazy!r}"
        elif len(schemas) == 1:
            require_readable(prop.mapper.class_, schemas[0], outer=outer)
    elif isinstance(prop, ColumnProperty) and prop.raiseload:
        forbidden = "raiseload=True"
    if forbidden is not None:
        raise ConfigurationError(
            f"{shown_by} shows {attribute}, which can't be read of a row: it has {forbidden}. Let it be loaded, as "
            "with lazy='selectin', or leave the field out."
        )


def _schemas_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _schemas_in(argument)
