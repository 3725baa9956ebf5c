"""What a model that is a dataclass, too (`MappedAsDataclass`), says of its attributes, and its columns do not."""

from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from sqlalchemy.orm import ColumnProperty, Mapper


def makes(mapper: Mapper[Any], prop: ColumnProperty[Any]) -> bool:
    """Tell whether a dataclass makes up a value by itself: with a factory, or in any way if it is the key's."""
    known = fields(mapper.class_) if is_dataclass(mapper.class_) else ()
    field = next((field for field in known if field.name == prop.key), None)
    if field is None:
        return False
    if prop.columns[0].primary_key and (not field.init or field.default is not MISSING):
        return True
    # A plain default that the constructor does not take is a factory, too, and the column's own.
    return field.default_factory is not MISSING and getattr(prop.columns[0], "default", None) is None
