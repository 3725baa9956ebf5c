"""Read what an attribute of a class is annotated as, and tell whether that is one file or several."""

import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import reduce
from inspect import get_annotations
from operator import or_
from types import SimpleNamespace, UnionType
from typing import Annotated, Any, TypeAlias, Union, get_args, get_origin, get_type_hints

from sqlalchemy.orm import Mapped, declared_attr

from fastapi_filestore.file_object import FileObject

Annotation: TypeAlias = Any
"""An annotation of an attribute: a type, or what `typing` makes of some."""


def annotation_of(owner: type, name: str) -> Annotation:
    """Return what an attribute is annotated as, without `Mapped` and `None`; None if nobody says, or it can't be read.

    A mixin may say so as what the function of a `declared_attr` returns.
    """
    for cls in owner.__mro__:
        annotations = get_annotations(cls)
        function = getattr(vars(cls).get(name), "fget", None)
        if name not in annotations and isinstance(vars(cls).get(name), declared_attr):
            annotations = {name: get_annotations(function).get("return")} if function else {}
        if name in annotations:
            with suppress(Exception):  # a name that is there for type checkers alone, or whatever else a text may be
                holder = SimpleNamespace(__annotations__={name: annotations[name]})
                return _without_mapped(get_type_hints(holder, vars(sys.modules[cls.__module__]))[name])
            return None
    return None


def _without_mapped(annotation: Annotation) -> Annotation:
    origin: Any = get_origin(annotation)
    if isinstance(origin, type) and issubclass(origin, Mapped):
        annotation = get_args(annotation)[0]
        origin = get_origin(annotation)
    if origin in (Union, UnionType):
        annotation = reduce(or_, [kind for kind in get_args(annotation) if kind is not type(None)])
    return annotation


def is_of_several(annotation: Annotation) -> bool | None:
    """Tell whether an annotation is of several files, as `list[FileObject]`, or of one; None if it is of neither."""
    origin: Any = get_origin(annotation)
    if origin is Annotated:
        return is_of_several(get_args(annotation)[0])
    for name in ("__value__", "__supertype__"):  # of the statement `type`, and of `NewType`
        if hasattr(annotation, name):
            return is_of_several(getattr(annotation, name))
    if origin in (Union, UnionType):
        found = {is_of_several(kind) for kind in get_args(annotation) if kind is not type(None)}
        return found.pop() if len(found) == 1 else None
    kind = origin or annotation
    is_read = isinstance(kind, type) and not issubclass(kind, str | bytes | Mapping)
    return issubclass(kind, Iterable) if is_read and issubclass(kind, Iterable | FileObject) else None
