"""Columns whose backend nobody has registered: the first upload into one would fail."""

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import Mapper, configure_mappers

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.events import BACKEND_NOT_REGISTERED
from fastapi_filestore.orm.file_attributes import FileAttribute, file_attributes, file_mappers
from fastapi_filestore.storage.registry import StorageRegistry


def require_backends(models: Collection[type], registry: StorageRegistry) -> None:
    """Look for the backends of all file columns of this process; log what columns of other classes lack.

    Args:
        models: The classes that the application serves.
        registry: Where it registers the backends of its settings.

    Raises:
        ConfigurationError: A column of one of the models has no backend.
    """
    configure_mappers()  # this may be the first that a process does
    # First those that it is told to serve, then what inherits from them, whose rows are rows of theirs.
    served: dict[Mapper[Any], None] = dict.fromkeys(below for model in models for below in _with_heirs(model))
    own = {each.column: (mapper.class_, each) for mapper in reversed(served) for each in file_attributes(mapper)}
    if problems := [_problem(model, each, registry) for model, each in own.values() if not _has_backend(each)]:
        raise ConfigurationError("\n".join(["Columns whose backend nobody has registered:", *problems]))
    others = [(mapper.class_, each) for mapper in file_mappers() for each in file_attributes(mapper)]
    lacking = {_name(model, each) for model, each in others if each.column not in own and not _has_backend(each)}
    if lacking:
        BACKEND_NOT_REGISTERED.tell(columns=sorted(lacking))


def _with_heirs(model: type) -> Iterable[Mapper[Any]]:
    mapper: Mapper[Any] = inspect(model)
    return mapper.self_and_descendants


def _has_backend(attribute: FileAttribute) -> bool:
    return _key(attribute) in attribute.type.registry


def _key(attribute: FileAttribute) -> str:
    return attribute.type.backend or attribute.type.registry.default_key


def _name(model: type, attribute: FileAttribute) -> str:
    return f"{model.__name__}.{attribute.name} (backend {_key(attribute)!r})"


def _problem(model: type, attribute: FileAttribute, registry: StorageRegistry) -> str:
    return f"- {_name(model, attribute)}: {_remedy(_key(attribute), attribute.type.registry, registry)}."


def _remedy(key: str, looked_in: StorageRegistry, registry: StorageRegistry) -> str:
    if looked_in is not registry and key in registry:
        return "it is registered in the registry of this Filestore: give that to the column, StoredObject(registry=...)"
    if key.lower() in looked_in:
        return f"it is registered as {key.lower()!r}, as settings name all in lower case: call it so in StoredObject"
    known = ", ".join(sorted(each.key for each in looked_in)) or "none"
    return (
        f"there is {known}; set FILESTORE_BACKENDS__{key.upper()}__URL, or call storages.register_backend(...) before "
        "files.lifespan begins, or give the column one of those there are"
    )
