"""Keep what the routes of one model share: how its rows are found, shown and described."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import fields as dataclass_fields
from functools import partial
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from fastapi import Request, Response
from pydantic import BaseModel, ValidationError
from pydantic_core import to_jsonable_python
from sqlalchemy import JSON, inspect
from sqlalchemy.exc import InvalidRequestError

from fastapi_filestore.errors import ConfigurationError, InvalidFieldsError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.intake.folders import without_paths
from fastapi_filestore.intake.forms.limits import FormLimits
from fastapi_filestore.intake.rules import NO_RULES, FileRules
from fastapi_filestore.orm.column.attributes import FileAttribute
from fastapi_filestore.orm.column.python_types import python_type, wrapped_type
from fastapi_filestore.orm.column.stored_object import StoredObject
from fastapi_filestore.orm.failures.refusals import translate_attribute_errors
from fastapi_filestore.orm.uploads.tables import UploadTables
from fastapi_filestore.service import FileService
from fastapi_filestore.service.new_rows import constructor_needs
from fastapi_filestore.service.rows import load_columns
from fastapi_filestore.uploads.options import UploadOptions
from fastapi_filestore.uploads.targets import Target
from fastapi_filestore.web.receiving.form_fields import (
    ColumnFields,
    UnknownFields,
    attributes_of,
    check_storable,
    is_json_object,
    known_names,
    switch_names,
    validate_form,
    without_unknown,
)
from fastapi_filestore.web.receiving.several_fields import FILES_AT_ONCE, FileField
from fastapi_filestore.web.receiving.uploads import UploadPolicy
from fastapi_filestore.web.routes.claims import RouterUploads, with_uploads
from fastapi_filestore.web.routes.columns import FileColumns, columns_of
from fastapi_filestore.web.routes.model_attributes import (
    AnyMapper,
    has_more_than_columns,
    owned_names,
    require_readable,
)
from fastapi_filestore.web.routes.schemas import NoFields, Schemas
from fastapi_filestore.web.serving.options import require_word

ModelT = TypeVar("ModelT")
SchemaT = TypeVar("SchemaT", bound=BaseModel)
Download = Callable[[Request, FileObject], Awaitable[Response]]
"""Makes the response that serves a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource(FileColumns, Generic[ModelT]):
    """A model behind routes: its columns of files, its schemas, and the limits of its forms.

    `reserved` are the attributes that the application gives new rows, or SQLAlchemy sets, which no client does;
    `unknown_fields` says what becomes of a form's fields that are no attributes.
    """

    model: type[ModelT]
    schemas: Schemas
    limits: Callable[[], FormLimits]
    url_seconds: Callable[[], int]
    download: Download
    redirects: bool
    reserved: frozenset[str] = frozenset()
    own_rules: FileRules = NO_RULES
    """Those of the router alone."""
    rules: FileRules = NO_RULES
    """Those of the router and of the main column."""
    loads: bool = False
    """Whether its rows show more than their columns, such as a relationship, which may have to be loaded."""
    unknown_fields: UnknownFields = "ignore"
    keeps_folders: bool = False
    """Whether the folder that a client had a file in is kept."""
    uploads: RouterUploads | None = None
    """Where uploads are kept that rows take by their ids; None if they take none."""

    @property
    def claiming(self) -> Sequence[Any]:
        """The dependencies of routes that take uploads."""
        return () if self.uploads is None else self.uploads.dependencies

    def keeping_uploads(self, tables: UploadTables, options: UploadOptions) -> "Resource[ModelT]":
        """Return a resource whose rows take uploads by their ids."""
        targets = {attribute.name: Target(attribute, self.own_rules) for attribute in self.attributes}
        schemas = replace(
            self.schemas,
            create=with_uploads(self.schemas.create),
            create_json=with_uploads(self.schemas.create_json),
        )
        return replace(self, schemas=schemas, uploads=RouterUploads(tables, options, targets, self.limits))

    def field_of(self, attribute: FileAttribute) -> FileField:
        """Return what a form's field takes for a column."""
        rules, is_list = self.own_rules.within(attribute.type.rules), attribute.type.multiple
        most = (attribute.type.rules.max_files or FILES_AT_ONCE) if is_list else 1
        return FileField(rules, most, is_needed=self.needs(attribute) and self.uploads is None)

    def needs(self, attribute: FileAttribute) -> bool:
        """Tell whether no row can be without a file in a column."""
        return not (attribute.type.multiple or attribute.column.nullable)

    @property
    def fields(self) -> dict[str, FileField]:
        """What a form's fields take, by the attributes that they are called after."""
        return {attribute.name: self.field_of(attribute) for attribute in self.attributes}

    @property
    def name(self) -> str:
        """The model's name in lower case, as routes and operations are called."""
        return self.model.__name__.lower()

    @property
    def identity_type(self) -> object:
        """The type of the primary key in a path."""
        mapper: AnyMapper = inspect(self.model)
        keys = mapper.primary_key
        if len(keys) != 1:
            raise ConfigurationError(
                f"{self.model.__name__} has {len(keys)} primary key columns and the router's paths have room for one: "
                "give the model a key of its own, or write its routes by hand with the service."
            )
        prop: Any = mapper.get_property_by_column(keys[0])
        kind = python_type(prop)
        return str if kind is Any else kind

    async def show(self, service: FileService[ModelT], row: ModelT, base: str, *, changed: bool = False) -> BaseModel:
        """Return a row as a response shows it, loading what that needs and was not read yet.

        `base` is the path that the collection is mounted at. The relationships of a row that was `changed` may lead
        elsewhere by now, and are read again.
        """
        if not self.columns <= inspect(row).dict.keys():
            await self.load(service, [row])
        if not self.loads:
            return self.show_loaded(row, base)
        if changed:
            state = inspect(row)
            read = [relationship.key for relationship in state.mapper.relationships if relationship.key in state.dict]
            if state.session is not None and state.persistent and read:
                state.session.expire(row, read)
        return await service.loading(partial(self.show_loaded, row, base))

    async def load(self, service: FileService[ModelT], rows: Sequence[ModelT]) -> None:
        """Read the columns that responses show, deferred ones among them, where rows came without: all at once."""
        lacking = [row for row in rows if not self.columns <= inspect(row).dict.keys()]
        if lacking:
            await service.loading(partial(load_columns, lacking, self.columns))

    def show_loaded(self, row: ModelT, base: str) -> BaseModel:
        """Return a row that is loaded as a response shows it.

        Raises:
            ConfigurationError: It can't be shown: a value does not fit, or its relationship may not be loaded.
        """
        for attribute in (*self.attributes, *self.only_read):
            if attribute.name not in inspect(row).dict:
                continue  # a deferred one that is not shown
            for file in attribute.files(row):
                place = f"{self.path(row, base)}/{self.places[attribute.name]}"
                file.url = file.public_url or (f"{place}/{file.id}" if attribute.type.multiple else place)
        read = self.schemas.read
        try:
            return read.model_validate(row, from_attributes=True)
        except ValidationError as error:
            problems = error.errors(include_url=False, include_input=False, include_context=False)
        message = f"{read.__name__} can't show a row of {type(row).__name__}"
        try:
            for problem in problems:
                if problem["type"] == "get_attribute_error":
                    value: Any = row
                    for step in problem["loc"]:  # raises again what pydantic made a text of, such as a database's
                        value = value[step] if isinstance(step, int) else getattr(value, step)
        except InvalidRequestError as error:
            raise ConfigurationError(f"{message}: {error}. Have it loaded with the row, or leave it out.") from error
        place = ".".join(map(str, problems[0]["loc"]))
        raise ConfigurationError(f"{message}: {place}: {problems[0]['msg']}. Let the schema take what rows have.")

    def require_rows(self) -> None:
        """Raise `ConfigurationError` if a plain service could make no row of what clients send, or not show it."""
        known = inspect(self.model).attrs.keys()
        for schema in (self.schemas.create, self.schemas.update):
            if schema.__pydantic_decorators__.model_serializers:  # which may make attributes of anything
                continue
            for name, attribute in attributes_of(schema).items():
                if attribute not in known:
                    raise ConfigurationError(
                        f"{schema.__name__}.{name}: {self.model.__name__} has no attribute {attribute!r} to give a "
                        "value to. Leave the field out, or make the rows with a service of your own, service=."
                    )
        given = {*attributes_of(self.schemas.create).values(), *self.fields, *self.reserved}
        missing = [name for name in constructor_needs(self.model) if name not in given]
        if missing:
            raise ConfigurationError(
                f"{self.model.__name__}() needs {missing[0]!r}, which no client may set: give it a default, or a value "
                f"with defaults={{{missing[0]!r}: ...}}."
            )
        require_readable(self.model, self.schemas.read)

    def settable(self, fields: Mapping[str, object]) -> Mapping[str, object]:
        """Return what a client wants to set.

        Raises:
            InvalidFieldsError: The application sets some of it, or JSON has no word for it.
        """
        taken = sorted(self.reserved & fields.keys())
        if taken:
            raise InvalidFieldsError(
                [{"loc": (name,), "msg": "The application sets this", "type": "reserved"} for name in taken]
            )
        columns = inspect(self.model).column_attrs
        if unfit := sorted(self.no_values & fields.keys()):  # a list without its files would lose them
            raise InvalidFieldsError(
                [
                    {"loc": (name,), "msg": f"A file is no value here{self._way_of(name)}", "type": "extra_forbidden"}
                    for name in unfit
                ]
            )
        for name, value in fields.items():
            # Which a schema of the user's may take NaN for.
            if name in columns and isinstance(wrapped_type(columns[name].columns[0]), JSON):
                with translate_attribute_errors(inspect(self.model), name):
                    check_storable(value)
        return fields

    def name_columns(self, error: InvalidFieldsError, argument: str) -> InvalidFieldsError:
        """Return an error that tells columns which clients may not set, and which argument of the router has others."""
        columns = {
            name: "The application sets this"
            if name in self.reserved
            else f"This column is not for clients to set, unless {argument}= of the router has it"
            for name, column in inspect(self.model).column_attrs.items()
            if not (name.startswith("_") or isinstance(column.columns[0].type, StoredObject))
        }
        for attribute in self.attributes:
            way = self._way_of(attribute.name) if argument == "update" else ": send it in a form, multipart/form-data"
            columns[attribute.name] = f"A file is no value here{way}"
        return InvalidFieldsError([self._named(problem, columns) for problem in error.problems])

    def _named(self, problem: Mapping[str, Any], columns: Mapping[str, str]) -> Mapping[str, Any]:
        """Return a problem of a value as it is told of columns that are not set so, and of lists of ids."""
        name = problem["loc"][0] if problem["loc"] else None
        if problem["type"] == "extra_forbidden":
            return {**problem, "msg": columns.get(str(name), problem["msg"])}
        is_list = any(item.name == name and item.type.multiple for item in self.attributes)
        if is_list and problem["type"] in {"list_type", "string_type", "string_pattern_mismatch"}:
            return {**problem, "msg": f"Only the ids of its files are taken, in a new order{self._way_of(str(name))}"}
        return problem

    def _way_of(self, name: str) -> str:
        """Say which request of its own changes a file, or the files of a list."""
        attribute = next((item for item in self.attributes if item.name == name), None)
        if attribute is None:
            return ""
        place = f".../{self.places[name]}"
        if attribute.type.multiple:
            return f": add files with POST {place}, replace or delete one by PUT or DELETE {place}/{{id}}"
        return (
            f": replace it with PUT {place}{f', or clear it with DELETE {place}' if attribute.column.nullable else ''}"
        )

    def policy(
        self,
        schema: type[BaseModel],
        *,
        limits: FormLimits | None = None,
        attributes: Sequence[FileAttribute] = (),
    ) -> UploadPolicy:
        """Say what a request may hold: files, and the fields of a model; JSON in them is within the limits.

        The files are for some attributes, or one is for that at `/file`; a body that is no form is one for the first.
        """
        attributes = attributes or [self.attribute]
        first, is_fields, own = attributes[0], schema is not NoFields, self.limits()
        if attributes == [self.attribute] and not first.type.multiple:
            rules, needs_file = self.rules, not (is_fields and first.column.nullable)
            allowed = own.with_file_size(rules.max_size)
        else:
            fields, needs_file = [self.field_of(item) for item in attributes], True
            rules, size = fields[0].rules, max(field.rules.max_size or own.file_size for field in fields)
            allowed = replace(own, file_size=size, files=sum(field.most for field in fields))
        return UploadPolicy(
            first.name,
            allowed,
            partial(self.validate, schema, limits, attributes),
            rules,
            known_names(schema),
            is_fields,
            switch_names(schema),
            needs_file,
            self.keeps_folders,
        )

    def validate(
        self,
        schema: type[BaseModel],
        limits: FormLimits | None,
        attributes: Sequence[FileAttribute],
        fields: Mapping[str, str],
    ) -> BaseModel:
        """Make values of a form's fields; `InvalidFieldsError` names those that are wrong."""
        known = known_names(schema)
        if self.keeps_folders:
            fields = without_paths(fields, known)
        try:
            is_ours = issubclass(schema, (ColumnFields, NoFields)) or "extra" not in schema.model_config
            if is_ours and not fields.keys() <= known:
                meant = set(inspect(self.model).attrs.keys())
                # FilePond sends its metadata in the field of the file, before that.
                texts = ((item.name, fields.get(item.name)) for item in attributes)
                meant -= {name for name, text in texts if text is not None and (not text or is_json_object(text))}
                fields = without_unknown(schema, fields, self.unknown_fields, refused=meant)
            return validate_form(schema, fields, limits=limits)
        except InvalidFieldsError as error:
            raise (self.name_columns(error, "create") if schema is not NoFields else error) from None

    def path(self, row: ModelT, base: str) -> str:
        """Return the path of a row, whose last segment is its primary key."""
        return f"{base}/{quote(str(to_jsonable_python(inspect(row).identity[0])), safe='')}"


def resource_of(
    model: type[ModelT],
    *,
    field: str | None,
    schemas: Schemas,
    limits: Callable[[], FormLimits],
    url_seconds: Callable[[], int],
    download: Download,
    redirects: bool,
    reserved: frozenset[str] = frozenset(),
    rules: FileRules = NO_RULES,
    unknown_fields: UnknownFields = "ignore",
    keeps_folders: bool = False,
    read_only: Sequence[str] = (),
) -> Resource[ModelT]:
    """Describe a model to the routes; `ConfigurationError` if its columns are not what they are said to be."""
    require_word(unknown_fields, UnknownFields, name="unknown_fields=")
    columns = columns_of(model, schemas.read, main=field, reserved=reserved, read_only=read_only)
    return Resource(
        **{item.name: getattr(columns, item.name) for item in dataclass_fields(columns)},
        model=model,
        schemas=schemas,
        limits=limits,
        url_seconds=url_seconds,
        download=download,
        redirects=redirects,
        reserved=reserved | owned_names(inspect(model)),
        own_rules=rules,
        rules=rules.within(columns.attribute.type.rules),
        loads=has_more_than_columns(model, schemas.read),
        unknown_fields=unknown_fields,
        keeps_folders=keeps_folders,
    )
