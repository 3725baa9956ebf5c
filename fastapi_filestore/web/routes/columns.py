"""Choose which columns of files the routes of a model serve: what clients send, what they fetch alone, and where."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from pydantic import BaseModel
from sqlalchemy import inspect

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.orm.column.attributes import FileAttribute, file_attribute, file_attributes
from fastapi_filestore.web.receiving.form_fields import names_of


@dataclass(frozen=True, slots=True)
class FileColumns:
    """The columns of files of a model, as its routes serve them."""

    attribute: FileAttribute
    """The main one: that of one file at `/file`, or the first list if all are lists."""
    attributes: tuple[FileAttribute, ...]
    """All that clients send, beginning with the main one.

    One that is called `file` beside it has that path, and the main one is at its own name alone.
    """
    only_read: tuple[FileAttribute, ...] = ()
    """Those that clients fetch and the application alone writes."""
    no_values: frozenset[str] = frozenset()
    """Those of which no body has a value: all but the lists that clients put in order."""
    empty_lists: Mapping[str, object] = field(default_factory=dict[str, object])
    """The lists that a new row needs, whether or not a client sends files for them."""
    places: Mapping[str, str] = field(default_factory=dict[str, str])
    """What follows the path of a row, by attribute."""
    columns: frozenset[str] = frozenset()
    """The columns that responses show."""

    @property
    def takes_one_file(self) -> bool:
        """Tell whether rows have one file at most."""
        return len(self.attributes) == 1 and not self.attribute.type.multiple


def columns_of(
    model: type, read: type[BaseModel], *, main: str | None, reserved: Collection[str], read_only: Collection[str]
) -> FileColumns:
    """Choose the columns of files that routes serve: what `read` leaves out is nobody's to fetch.

    Raises:
        ConfigurationError: The `main` one is not one file, or not for clients to send; or `read_only` names no column.
    """
    shown = {name for attribute, known in read.model_fields.items() for name in names_of(read, attribute, known)}
    columns = file_attributes(inspect(model))
    visible = [item for item in columns if not item.name.startswith("_") and (item.name in shown or item.name == main)]
    if unknown := sorted({*read_only} - {item.name for item in visible}):
        raise ConfigurationError(
            f"read_only= names {unknown[0]!r}, which is no column of files that {model.__name__} shows: leave it out."
        )
    served = [item for item in visible if item.name not in {*reserved, *read_only}]
    singles = sorted((item for item in served if not item.type.multiple), key=lambda item: item.name != "file")
    attribute = (singles or served)[0] if main is None and served else file_attribute(model, main)
    is_list = attribute.type.multiple
    if is_list and main is not None:
        raise ConfigurationError(
            f"{model.__name__}.{attribute.name} holds several files, and field= names the column of one that /file "
            "serves: leave it out. Lists are served by their own names."
        )
    _require_sent(model, attribute, reserved=reserved, read_only=read_only)
    # A column that is called `file` is what is found there, whichever is the main one.
    has_file = is_list or any(item.name == "file" for item in visible if item is not attribute)
    sent = tuple(dict.fromkeys([attribute, *(item for item in visible if item in served)]))
    unsent = [item for item in columns if item not in sent]
    return FileColumns(
        attribute,
        sent,
        only_read=tuple(item for item in visible if item not in sent),
        no_values=frozenset(item.name for item in (*sent, *unsent) if item in unsent or not item.type.multiple),
        empty_lists={
            item.name: ()
            for item in (*sent, *unsent)
            if item.type.multiple and not item.column.nullable and (item in sent or item.column.default is None)
        },
        places={item.name: quote(item.name) for item in [*visible, attribute]}
        | ({} if has_file else {attribute.name: "file"}),
        columns=frozenset(shown & {*inspect(model).column_attrs.keys()}),
    )


def _require_sent(
    model: type, attribute: FileAttribute, *, reserved: Collection[str], read_only: Collection[str]
) -> None:
    """Raise `ConfigurationError` if the main column is one that the application alone writes."""
    name = f"{model.__name__}.{attribute.name}, which is the file that clients send"
    if attribute.name in reserved:
        raise ConfigurationError(f"defaults= gives {name}: leave it out, or name another column of files with field=.")
    if attribute.name in read_only:
        raise ConfigurationError(f"read_only= names {name}: name another column of files with field=.")
