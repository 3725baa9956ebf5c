"""Upload, keep, replace, clear and download files on the pages of starlette-admin.

>>> from fastapi_filestore.contrib.starlette_admin import Admin, ModelView
>>> admin = Admin(engine)
>>> admin.add_view(ModelView(Document))
>>> admin.mount_to(app)

A view of SQLModel takes this one first: `class DocumentView(ModelView, starlette_admin.contrib.sqlmodel.ModelView)`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar, cast

from jinja2 import DictLoader
from pydantic import ValidationError
from pydantic_core import InitErrorDetails
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import NoMatchFound
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette_admin import RequestAction, fields, route
from starlette_admin.contrib import sqla
from starlette_admin.contrib.sqla.converters import register_converter
from starlette_admin.exceptions import FormValidationError
from starlette_admin.views import BaseView

from fastapi_filestore.contrib.changes import LACKING, FileChange, attributes_of, files_in, id_of, send_file
from fastapi_filestore.errors import ConfigurationError, ContentError, FilestoreError, UploadError
from fastapi_filestore.orm.column.stored_object import StoredObject
from fastapi_filestore.web.problems import problem_of

LINKS, INPUT = "filestore/links.html", "filestore/input.html"
TEMPLATES = {
    LINKS: """
{% for file in data %}<div>{% if file.url %}<a href="{{ file.url }}">{{ file.filename }}</a>
{% else %}{{ file.filename }}{% endif %}</div>{% endfor %}""",
    INPUT: """
<ul class="list-unstyled">{% for file in data.present | default(data) or [] %}<li>{% if file.url %}
<a href="{{ file.url }}" target="_blank" rel="noopener">{{ file.filename }}</a>
{% else %}{{ file.filename }}{% endif %}
{% if field.can_be_empty %}
<label class="form-check-label"><input class="form-check-input" type="checkbox"
name="_{{ field.id }}-delete" value="{{ file.key }}"
{% if file.key in (data.removed | default([])) %}checked{% endif %}>
Remove</label>{% endif %}</li>{% endfor %}</ul>
<div class="{% if error %}{{ cls(field.error_class) }}{% endif %}">
<input type="file" class="form-control {% if error %}{{ cls(field.error_class) }}{% endif %}" id="{{ field.id }}"
name="{{ field.id }}" {{ field.input_params() | safe }}>
{% if field.help_text %}<small class="form-hint">{{ field.help_text }}</small>{% endif %}</div>
{% include "fields/form/_error.html" %}""",
}


@dataclass
class FileField(fields.FileField):
    """A field for the files of one column; what a form says of it is a `FileChange`.

    `holds_several` stands for their `multiple`, by which their views replace a list instead of adding to it.
    """

    holds_several: bool = False
    can_be_empty: bool = True
    max_size: int | None = None
    exclude_from_export: bool | None = True
    form_template: str = INPUT
    list_template: str = LINKS
    detail_template: str = LINKS
    view: "ModelView | None" = None

    async def parse_form_data(self, request: Request, form_data: FormData) -> Any:
        """Return the change that a form asks for."""
        request.state.form = form_data
        removed = form_data.getlist(f"_{self.id}-delete") if self.can_be_empty else []
        change = FileChange.read(form_data.getlist(self.id), removed)
        # The names of a row on the page of another have that row in front.
        before = self.id.removesuffix(self.name)
        pk = form_data.get(f"{before}pk") if before else request.query_params.get("pk")
        is_there = pk and request.state.action == RequestAction.EDIT
        row = await self.view.find_by_pk(request, pk) if self.view and is_there else None
        return replace(change, present=await self.parse_obj(request, row) or ()) if row else change

    async def parse_obj(self, request: Request, obj: Any) -> Any:
        """Return what is shown of the files of a row: links to them."""
        shown = [
            {
                "key": id_of(file),
                "filename": file.filename,
                "url": await self.view.url_of_file(request, obj, self.name, id_of(file)) if self.view else None,
            }
            for file in files_in(getattr(obj, self.name))
        ]
        return shown if shown or self.holds_several else None

    async def serialize_value(self, request: Request, value: Any) -> Any:
        """Return it as it is."""
        return value

    async def validate(self, request: Request, value: FileChange, form_values: dict[str, Any]) -> None:
        """Refuse what can't be, and ask the validators of each file.

        Raises:
            ValueError: It is refused.
        """
        if not self.holds_several and len(value.uploads) > 1:
            raise ValueError("One file belongs here.")
        if not (self.can_be_empty or value.present or value.uploads):
            raise ValueError(LACKING)
        for upload in value.uploads:
            await super().validate(request, (upload, False), form_values)

    def input_params(self) -> str:
        """Return the attributes of the input, as HTML."""
        return super().input_params() + (" multiple" if self.holds_several else "")


@register_converter(StoredObject)
def convert_file(*, name: str, column: Any, type: StoredObject, **more: object) -> fields.BaseField:  # noqa: A002
    """Return the field of a file column."""
    return FileField(
        name,
        help_text=column.comment,
        required=not (column.nullable or type.multiple),
        holds_several=type.multiple,
        can_be_empty=type.multiple or column.nullable,
    )


class ModelView(sqla.ModelView):
    """Show a model whose rows have files, with links to the files, and inputs for them.

    An input that is left empty keeps what is there; a new file replaces it, and is added to a list.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what a view of starlette-admin takes."""
        super().__init__(*args, **kwargs)
        for field in self.fields:
            if isinstance(field, FileField):
                field.view = self

    async def create(self, request: Request, data: dict[str, Any]) -> Any:
        """Add a row with its files."""
        with self._telling(data):
            return await super().create(request, self._values(data, None))

    async def edit(self, request: Request, pk: Any, data: dict[str, Any]) -> Any:
        """Change a row, and its files where the form says so."""
        row = await self.find_by_pk(request, pk)
        with self._telling(data):
            return await super().edit(request, pk, self._values(data, row))

    async def validate(self, request: Request, data: dict[str, Any]) -> None:
        """Check a form; a view of SQLModel does so without the files, and then misses them.

        Raises:
            ValidationError: Something else is wrong.
        """
        try:
            await super().validate(request, data)
        except ValidationError as error:
            names = attributes_of(self.model)
            others = [cast("InitErrorDetails", problem) for problem in error.errors() if problem["loc"][0] not in names]
            if others:
                raise ValidationError.from_exception_data(error.title, others) from error

    def _values(self, data: Mapping[str, Any], row: object) -> dict[str, Any]:
        """Return what is to be set of a row; a file is told from none, and from no change, by their pairs."""
        values = dict(data)
        for name, attribute in attributes_of(self.model).items():
            change = data.get(name)
            values[name] = (None, False)
            if isinstance(change, FileChange) and (change or (row is None and attribute.type.multiple)):
                files = change.value(attribute, change.kept(files_in(getattr(row, name, None))))
                values[name] = (files, files is None)
        return values

    @contextmanager
    def _telling(self, data: Mapping[str, Any]) -> Iterator[None]:
        """Tell what is wrong with files at their inputs, and what else has failed on a page."""
        try:
            yield
        except (UploadError, ContentError) as error:
            names = [name for name, change in data.items() if isinstance(change, FileChange) and change]
            raise FormValidationError(dict.fromkeys(names, str(error))) from error
        except FilestoreError as error:
            raise problem_of(error) from error

    async def url_of_file(self, request: Request, row: object, name: str, key: str) -> str | None:
        """Return where a file of a row is downloaded.

        Raises:
            ConfigurationError: The admin knows nothing of files.
        """
        try:
            url = request.url_for(f"{request.app.state.ROUTE_NAME}:file", view=self.key, name=name, file=key)
        except NoMatchFound:
            raise ConfigurationError(
                f"{type(self).__name__} has files: give it to Admin of fastapi_filestore.contrib.starlette_admin."
            ) from None
        return str(url.include_query_params(pk=await self.get_serialized_pk_value(request, row)))


class InlineModelView(ModelView, sqla.InlineModelView):
    """Rows with files, edited on the page of the row that they belong to."""

    model: ClassVar[type]  # type: ignore[misc] # as theirs does

    async def url_of_file(self, request: Request, row: object, name: str, key: str) -> str | None:
        """Return None: a file is downloaded from a page of its own row."""
        return None


class ClosingForms:
    """Close the uploads of a form once its request is answered."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        try:
            await self.app(scope, receive, send)
        finally:
            if (form := scope.get("state", {}).get("form")) is not None:
                await form.close()


class Admin(sqla.Admin):
    """Serve the pages of starlette-admin, whose views may be those of this module; others are served as before."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what the admin of starlette-admin takes."""
        kwargs["additional_loaders"] = [*(kwargs.get("additional_loaders") or ()), DictLoader(TEMPLATES)]
        kwargs["middlewares"] = [*(kwargs.get("middlewares") or ()), Middleware(ClosingForms)]
        super().__init__(*args, **kwargs)

    def add_view(self, view: type[BaseView] | BaseView) -> None:
        """Add a view.

        Raises:
            ConfigurationError: Its rows have files, and the view knows nothing of them.
        """
        super().add_view(view)
        for added in self._model_views:
            if isinstance(added, sqla.ModelView) and attributes_of(added.model) and not isinstance(added, ModelView):
                raise ConfigurationError(
                    f"{type(added).__name__} shows {added.model.__name__}, whose rows have files: take ModelView of "
                    "fastapi_filestore.contrib.starlette_admin, or derive it from that first."
                )

    @route("/{view}/file/{name}/{file}", methods=["GET", "HEAD"], name="file")  # pyright: ignore[reportUntypedFunctionDecorator]
    async def send_file(self, request: Request) -> Response:
        """Send a file to whoever may see its row."""
        request.state.action = RequestAction.DETAIL
        view = self._find_view_by_key(request.path_params["view"])
        if not (isinstance(view, ModelView) and view.is_accessible(request) and view.can_view_detail(request)):
            raise HTTPException(403)
        try:
            row = await view.find_by_pk(request, request.query_params.get("pk"))
        except ValueError:  # no key of this model
            row = None
        return await send_file(request, row, request.path_params["name"], request.path_params["file"])
