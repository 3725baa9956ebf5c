"""Upload, keep, replace, clear and download files on the pages of SQLAdmin.

>>> from fastapi_filestore.contrib.sqladmin import Admin, ModelView
>>> class DocumentAdmin(ModelView, model=Document): ...
>>> Admin(app, engine).add_view(DocumentAdmin)
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextvars import ContextVar
from copy import copy
from functools import partial
from typing import Any, ClassVar

import sqladmin
from markupsafe import Markup
from sqladmin import expose
from sqladmin.forms import ModelConverter
from sqladmin.helpers import get_object_identifier
from sqlalchemy.orm import ColumnProperty
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from wtforms import Field, ValidationError, fields, widgets
from wtforms.utils import unset_value

from fastapi_filestore.contrib.changes import LACKING, FileChange, attributes_of, files_in, id_of, send_file
from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.orm.column.stored_object import FileList, StoredObject

REMOVED, GONE, PRESENT = "{}_checkbox", "{}_gone", "{}_present"
"""Names of what comes beside the uploads of a column: boxes that were ticked, as SQLAdmin names its own; then, as our
form has it, the ids of files to remove, and ids and filenames of all that are there."""

LINK: ContextVar[Callable[[str, str], str] | None] = ContextVar("fastapi_filestore.sqladmin_link", default=None)
"""Returns the URL of a file of the row that the request of now edits, by its attribute and its id."""

Values = dict[str, Any]
"""What a form sets of a row, by attribute."""


LINK_OF_FORM = Markup('<a href="{}" target="_blank" rel="noopener">{}</a>')
"""In a tab of its own: what somebody has filled in stays."""


class FileInput(widgets.FileInput):
    """Show links to what is there, with a box to remove each, above an input for what is to come."""

    def __call__(self, field: Field, **attributes: object) -> Markup:
        """Return the HTML of a field."""
        assert isinstance(field, FileField)
        box = Markup(
            ' <label class="form-check-label"><input class="form-check-input" type="checkbox" '
            'name="{}" value="{}"{}> Remove</label>'
        )
        link = LINK.get()
        shown = [
            Markup("<li>{}{}</li>").format(
                filename if link is None else LINK_OF_FORM.format(link(field.name, key), filename),
                box.format(REMOVED.format(field.name), key, Markup(" checked") if key in field.data.removed else "")
                if field.can_be_empty
                else "",
            )
            for key, filename in field.present
        ]
        attributes["required"] = not (field.can_be_empty or shown)
        return Markup('<ul class="list-unstyled">{}</ul>{}').format(
            Markup().join(shown), super().__call__(field, **attributes)
        )


class FileField(fields.FileField):
    """A field for the files of one column; its data is a `FileChange`."""

    def __init__(self, *args: Any, multiple: bool, nullable: bool, **kwargs: Any) -> None:
        kwargs.pop("validators", None)  # they ask for text, which a file input that is left empty has none of
        super().__init__(*args, **kwargs)
        self.widget, self.multiple, self.can_be_empty = FileInput(multiple=multiple), multiple, multiple or nullable
        self.present: Sequence[Sequence[str]] = ()

    def process(self, formdata: Any, data: Any = unset_value, extra_filters: Any = None) -> None:
        """Take the files of a row, and what a form says of them."""
        super().process(formdata, data, extra_filters)
        self.data = FileChange()
        self.present = [(id_of(file), file.filename) for file in files_in(self.object_data)]
        if formdata is not None:
            removed = formdata.getlist(GONE.format(self.name)) if self.can_be_empty else []
            self.data = FileChange.read(formdata.getlist(self.name), removed)
            self.present = [text.split(" ", 1) for text in formdata.getlist(PRESENT.format(self.name))]

    def pre_validate(self, form: Any) -> None:
        """Refuse several files for a column of one, and none where there must be one."""
        if not self.multiple and len(self.data.uploads) > 1:
            raise ValidationError("One file belongs here.")
        if not (self.can_be_empty or self.present or self.data.uploads):
            raise ValidationError(LACKING)


class FileConverter(ModelConverter):
    """Give file columns a `FileField`, and all others what SQLAdmin gives them."""

    def get_converter(self, prop: Any) -> Any:
        """Return what makes a field of an attribute."""
        is_file = isinstance(prop, ColumnProperty) and isinstance(prop.columns[0].type, StoredObject)
        return self._convert_file if is_file else super().get_converter(prop)

    def _convert_file(self, model: type, prop: ColumnProperty[Any], kwargs: Values) -> Any:
        column: Any = prop.columns[0]
        return FileField(multiple=column.type.multiple, nullable=column.nullable, **kwargs)


class Filenames(list[FileObject]):
    """The files of a list, which are text by their names, as in exports."""

    def __str__(self) -> str:
        return ", ".join(map(str, self))


class ModelView(sqladmin.ModelView):
    """Show a model whose rows have files: as SQLAdmin's, with links to the files, and inputs for them.

    An input that is left empty keeps what is there; a new file replaces it, and is added to a list.
    """

    form_converter: ClassVar = FileConverter

    async def get_object_for_edit(self, request: Request) -> Any:
        """Return the row that a request edits.

        Raises:
            ConfigurationError: The admin knows nothing of files.
        """
        if not isinstance(request, EditRequest):
            raise ConfigurationError(
                f"{type(self).__name__} has files: give it to Admin of fastapi_filestore.contrib.sqladmin."
            )
        request.row = await super().get_object_for_edit(request)
        LINK.set(partial(self._url, request, request.path_params["pk"]) if self.can_view_details else None)
        return request.row

    async def insert_model(self, request: Request, data: Values) -> Any:
        """Add a row; with "save as new", files that are kept are copied, since a file belongs to one row."""
        source = await self.get_object_for_edit(request) if "pk" in request.path_params else None
        for name, attribute in attributes_of(self.model).items():
            if isinstance(change := data.get(name), FileChange):
                kept = change.kept(files_in(getattr(source, name, None)))
                replaced = change.uploads and not attribute.type.multiple
                data[name] = change.value(attribute, [] if replaced else [await _copy(file) for file in kept])
        return await super().insert_model(request, data)

    async def update_model(self, request: Request, pk: str, data: Values) -> Any:
        """Change a row, and its files where the form says so."""

        async def change_files(values: Values, row: Any, is_created: bool, request: Request) -> None:  # noqa: FBT001
            # Of the row as the transaction reads it: what others add meanwhile stays, or is a conflict.
            for name, attribute in attributes_of(self.model).items():
                if isinstance(change := values.get(name), FileChange):
                    del values[name]
                    if change:
                        values[name] = change.value(attribute, change.kept(files_in(getattr(row, name))))
            await self.on_model_change(values, row, is_created, request)

        view = copy(self)
        vars(view)["on_model_change"] = change_files
        return await super(ModelView, view).update_model(request, pk, data)

    async def get_prop_value(self, obj: Any, prop: str) -> Any:
        """Return the value of an attribute, for pages and exports."""
        value = await super().get_prop_value(obj, prop)
        return Filenames(value) if isinstance(value, FileList) else value

    async def get_list_value(self, obj: Any, prop: str, request: Request | None = None) -> tuple[Any, Any]:
        """Return an attribute, and what the list shows of it: of files, links to them."""
        return self._link(obj, prop, request, *await super().get_list_value(obj, prop, request))

    async def get_detail_value(self, obj: Any, prop: str, request: Request | None = None) -> tuple[Any, Any]:
        """Return an attribute, and what the page of a row shows of it: of files, links to them."""
        return self._link(obj, prop, request, *await super().get_detail_value(obj, prop, request))

    def _link(self, row: Any, name: str, request: Request | None, value: Any, shown: Any) -> tuple[Any, Any]:
        """Let an attribute be shown as links to its files, unless it has none, or a formatter of its own."""
        if request is None or shown is not value or name not in attributes_of(self.model):
            return value, shown
        url = partial(self._url, request, get_object_identifier(row), name)
        links = [Markup('<a href="{}">{}</a>').format(url(id_of(file)), file.filename) for file in files_in(value)]
        return value, Markup("<br>").join(links) if links else shown

    def _url(self, request: Request, pk: str, name: str, key: str) -> str:
        return str(request.url_for(f"admin:view-{self.identity}-send_file", name=name, key=key, pk=pk))

    @expose("/files/{name}/{key}/{pk:path}")
    async def send_file(self, request: Request) -> Response:
        """Send a file to whoever may see its row."""
        try:
            row = await self.get_object_for_details(request)
        except ValueError:  # no key of this model
            row = None
        if not self.can_view_details or (row is not None and not await self.check_can_view_details(request, row)):
            raise HTTPException(403)
        return await send_file(request, row, request.path_params["name"], request.path_params["key"])


async def _copy(file: FileObject) -> FileObject:
    """Return a file that is stored anew with its row, and not before."""
    content = await asyncio.to_thread(file.open)
    return FileObject(
        file.backend, file.filename, content=content, content_type=file.content_type, metadata=file.metadata
    )


class EditRequest(Request):
    """A request that edits a row, whose form knows the files of the row.

    SQLAdmin reads and stores anew what an input that was left empty stands for, so the form has no such inputs.
    """

    def __init__(self, request: Request, attributes: Collection[str]) -> None:
        """Read the forms of rows with these attributes."""
        super().__init__(request.scope, request.receive)
        self.attributes, self.row = attributes, None

    async def form(self, **limits: Any) -> FormData:  # type: ignore[override] # which is awaited, and no more
        """Return the form."""
        sent = await super().form(**limits)
        own = {pattern.format(name) for name in self.attributes for pattern in ("{}", REMOVED, GONE, PRESENT)}
        items = [(name, value) for name, value in sent.multi_items() if name not in own]
        for name in self.attributes:
            change = FileChange.read(sent.getlist(name), sent.getlist(REMOVED.format(name)))
            items += [(name, upload) for upload in change.uploads]
            items += [(GONE.format(name), key) for key in change.removed]
            present = files_in(getattr(self.row, name))
            items += [(PRESENT.format(name), f"{id_of(file)} {file.filename}") for file in present]
        return FormData(items)


class Admin(sqladmin.Admin):
    """Serve the pages of SQLAdmin, whose views may be `ModelView` of this module; others are served as before."""

    def add_model_view(self, view: type[sqladmin.ModelView]) -> None:
        """Add the pages of a model.

        Raises:
            ConfigurationError: Its rows have files, and the view knows nothing of them.
        """
        if attributes_of(view.model) and not issubclass(view, ModelView):
            raise ConfigurationError(
                f"{view.__name__} shows {view.model.__name__}, whose rows have files: derive it from "
                "fastapi_filestore.contrib.sqladmin.ModelView."
            )
        super().add_model_view(view)

    async def create(self, request: Request) -> Response:
        """Answer the page that adds a row, and close the uploads that came with it."""
        try:
            response: Response = await super().create(request)
        finally:
            await request.close()
        return response

    async def edit(self, request: Request) -> Response:
        """Answer the page that changes a row, and close the uploads that came with it."""
        identity = request.path_params["identity"]
        models = [view.model for view in self.views if isinstance(view, ModelView) and view.identity == identity]
        request = EditRequest(request, [name for model in models for name in attributes_of(model)])
        try:
            response: Response = await super().edit(request)
        finally:
            await request.close()
        return response
