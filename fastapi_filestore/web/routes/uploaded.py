"""Give a route of one's own the file of the upload that its request names: `Depends(files.uploaded(Document))`."""

from collections.abc import AsyncIterator, Callable, Sequence
from inspect import Parameter, Signature
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.routing import APIRoute
from pydantic_core import from_json

from fastapi_filestore.errors import FilestoreError, InvalidFieldsError, TooManyFilesError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.intake.forms.limits import FormLimits
from fastapi_filestore.intake.upload import Upload
from fastapi_filestore.service import FileService
from fastapi_filestore.web.header_fields import is_json, media_type
from fastapi_filestore.web.paths import path_of_route
from fastapi_filestore.web.problems import problem_of
from fastapi_filestore.web.receiving.bodies import json_body
from fastapi_filestore.web.receiving.uploads import UploadPolicy, receive_upload_or_fields
from fastapi_filestore.web.routes.claims import UPLOAD, ids_in, named_uploads
from fastapi_filestore.web.routes.resource import Resource

Provider = Callable[..., FileService[Any]]


def uploaded_file(resource: Resource[Any], provider: Provider, field: str) -> Callable[..., Any]:
    """Build the dependency that gives a route the file of an upload, for a row that the route writes with its session.

    Of a column of several files it is a list, of one upload or more.
    What no row has taken at the end of the route is a complete upload still.
    """
    uploads = resource.uploads
    assert uploads is not None
    column = uploads.targets[field].attribute.type

    async def claim(request: Request, **given: Any) -> AsyncIterator[FileObject | list[FileObject]]:
        own = uploads.of(request, given["service"], field=field)
        try:
            ids = await ids_of_request(request, resource.limits())
            if column.multiple:
                column.rules.check_count(len(ids), field=UPLOAD)
            elif len(ids) > 1:
                raise TooManyFilesError(limit=1, actual=len(ids), field=UPLOAD)
            claimed = await (await named_uploads(own, ids)).take()
        except FilestoreError as error:
            raise problem_of(error) from error
        (taken,) = claimed.files.values()
        with claimed.seeing_rows() as rows:
            yield list(taken) if column.multiple else taken[0]
            base = path_of_route(request.scope, f"{resource.name}_create")
            await claimed.give_back_untaken(rows, lambda row: None if base is None else resource.path(row, base))

    parameters = {"service": Annotated[object, Depends(provider)]}
    parameters |= {f"owner_{number}": Annotated[object, one] for number, one in enumerate(uploads.dependencies)}
    vars(claim)["__signature__"] = Signature(
        [
            Parameter("request", Parameter.POSITIONAL_OR_KEYWORD, annotation=Request),
            *(Parameter(name, Parameter.KEYWORD_ONLY, annotation=kind) for name, kind in parameters.items()),
        ]
    )

    # Its end comes before the commit of the service, which is before the response.
    async def provide(file: Annotated[object, Depends(claim, scope="function")]) -> object:
        return file

    return provide


async def ids_of_request(request: Request, limits: FormLimits) -> Sequence[str]:
    """Return the ids in the field `upload` of a request: of its form, its JSON or its query.

    Raises:
        InvalidFieldsError: There is none, or what there is is none.
    """
    value: object = request.query_params.get(UPLOAD)
    if value is None:
        value = await _field_of_body(request, limits)
    if not (ids := ids_in("" if value is None else value)):
        raise InvalidFieldsError([{"loc": (UPLOAD,), "msg": "Name the upload that the row takes", "type": "missing"}])
    return ids


async def _field_of_body(request: Request, limits: FormLimits) -> object:
    """Return the field of a body, which the route's own parameters may have read before."""
    route = request.scope.get("route")
    is_read = isinstance(route, APIRoute) and route.body_field is not None
    if is_json(media_type(request.headers)):
        body = await request.body() if is_read else await json_body(request, limits.json_body_size, pace=limits.pace)
        try:
            fields = from_json(body)
        except ValueError:
            fields = None
        return fields.get(UPLOAD) if isinstance(fields, dict) else None
    if is_read:
        return (await request.form()).get(UPLOAD)
    found = await receive_upload_or_fields(request, UploadPolicy("file", limits, needs_file=False))
    return None if isinstance(found, Upload) or found is None else found.get(UPLOAD)
