"""Make rows of values by attribute, whatever constructor their class has."""

from collections.abc import Mapping
from functools import cache
from inspect import Parameter, signature
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import Column, Join, Table, inspect

from fastapi_filestore.errors import ConfigurationError, InvalidFieldsError
from fastapi_filestore.orm.column.stored_object import StoredObject
from fastapi_filestore.orm.failures.refusals import translate_attribute_errors
from fastapi_filestore.orm.mapped_types import AnyMapper

ModelT = TypeVar("ModelT")

Mapped: TypeAlias = Any
"""A mapped class, which type checkers can't tell from others."""


def build(model: type[ModelT], values: Mapping[str, object]) -> ModelT:
    """Make a row that is not yet in any session; what its constructor does not take is set afterwards."""
    if inspect(model).polymorphic_abstract:
        refuse_rowless(model)
    check_names(model, values)
    mapped: Mapped = model
    taken = constructor_takes(mapped)
    given, later = dict(_needed_identity(mapped)), dict[str, object]()
    for name, value in values.items():
        (given if name != "self" and (taken is None or name in taken) else later)[name] = value
    mapper: AnyMapper = inspect(model)
    try:
        with translate_attribute_errors(mapper, model.__name__):
            row = model(**given)
    except (InvalidFieldsError, AssertionError):
        # A constructor names no attribute: the first value that its attribute does not take is refused by name.
        blank = mapper.class_manager.new_instance()
        for name, value in values.items():
            # A row in a relationship would take this one along into its session.
            if name in mapper.column_attrs and not isinstance(mapper.column_attrs[name].columns[0].type, StoredObject):
                with translate_attribute_errors(mapper, name):
                    setattr(blank, name, value)
        raise
    for name, value in later.items():
        with translate_attribute_errors(mapper, name):
            setattr(row, name, value)
    return row


def refuse_rowless(model: Mapped) -> None:
    """Raise `ConfigurationError` for a model that has no rows of its own, but those of others."""
    mapper: AnyMapper = inspect(model)
    if mapper.polymorphic_abstract or not isinstance(mapper.local_table, Table | Join):
        why = "is polymorphic_abstract" if mapper.polymorphic_abstract else "maps a query"
        heirs = [heir for heir in mapper.self_and_descendants if heir is not mapper and not heir.polymorphic_abstract]
        named = f" ({', '.join(sorted(heir.class_.__name__ for heir in heirs))})" if heirs else ""
        raise ConfigurationError(
            f"{model.__name__} {why}, so nobody can add a row to it: take a class that maps a table itself{named}, or "
            "write the routes by hand with the service, which reads its rows."
        )


@cache
def constructor_takes(model: Mapped) -> frozenset[str] | None:
    """Return the names that a model's constructor takes; None for any, as SQLAlchemy's own does."""
    parameters = signature(model.__init__).parameters.values()
    if any(parameter.kind is Parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return frozenset(parameter.name for parameter in parameters if parameter.kind is not Parameter.POSITIONAL_ONLY)


@cache
def _needed_identity(model: Mapped) -> Mapping[str, object]:
    """Return what tells the class of a row, where its constructor asks for what the mapper sets by itself."""
    mapper = inspect(model)
    on = mapper.polymorphic_on
    name = mapper.get_property_by_column(on).key if isinstance(on, Column) and on in mapper.columns.values() else None
    return {name: mapper.polymorphic_identity} if name in constructor_needs(model) else {}


def constructor_needs(model: Mapped) -> list[str]:
    """Return the names that a model's constructor can't do without."""
    named = {Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY}
    _, *parameters = signature(model.__init__).parameters.values()
    return [
        parameter.name for parameter in parameters if parameter.kind in named and parameter.default is Parameter.empty
    ]


def check_names(model: Mapped, values: Mapping[str, object]) -> None:
    """Raise `InvalidFieldsError` for values that the model has no attribute for."""
    known = inspect(model).attrs
    problems = [
        {"loc": (name,), "msg": f"{model.__name__} has no such attribute", "type": "extra"}
        for name in values
        if name not in known
    ]
    if problems:
        raise InvalidFieldsError(problems)
