"""Add the routes of a model's rows as a whole: create one, list them.

Each endpoint is a unit of work that ends before its response is made, so that a failing commit is a problem like any
other.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from types import MappingProxyType
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel

from fastapi_filestore.errors import InvalidCursorError, InvalidFieldsError, MissingFileError, TooManyFilesError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.intake.forms.limits import FormLimits
from fastapi_filestore.intake.upload import Upload
from fastapi_filestore.service import FileService
from fastapi_filestore.service.pages import DEFAULT_LIMIT, MAX_LIMIT
from fastapi_filestore.web.header_fields import is_json, media_type
from fastapi_filestore.web.paths import path_above
from fastapi_filestore.web.receiving.bodies import json_body
from fastapi_filestore.web.receiving.form_fields import validate_json, values_of
from fastapi_filestore.web.receiving.several_fields import receive_form
from fastapi_filestore.web.receiving.uploads import receive_upload_or_fields
from fastapi_filestore.web.routes.claims import UPLOAD, NamedUploads, ids_in, named_uploads
from fastapi_filestore.web.routes.openapi.answers import LOCATION_HEADER
from fastapi_filestore.web.routes.openapi.bodies import files_body
from fastapi_filestore.web.routes.openapi.parameters import OF_UPLOADS, sort_parameter
from fastapi_filestore.web.routes.openapi.problems import OF_STORES, problems
from fastapi_filestore.web.routes.operations import with_article
from fastapi_filestore.web.routes.resource import Resource
from fastapi_filestore.web.routes.schemas import page_schema

ModelT = TypeVar("ModelT")
Provider = Callable[..., FileService[ModelT]]
NO_FILES: Mapping[str, Sequence[FileObject]] = MappingProxyType({})


def add_create(router: APIRouter, resource: Resource[ModelT], provider: Provider[ModelT]) -> None:
    """Add the route that stores a file and creates its row."""
    if not resource.takes_one_file or resource.uploads is not None:
        add_create_with_files(router, resource, provider)
        return
    field = resource.attribute.name

    @router.post(
        "/",
        status_code=201,
        response_model=resource.schemas.read,
        name=f"{resource.name}_create",
        summary=f"Upload a file and create its {resource.name}",
        responses={201: LOCATION_HEADER, **problems(400, 403, 408, 409, 411, 413, 415, 422, 507, examples=OF_STORES)},
        openapi_extra={**files_body(resource, resource.attributes, with_fields=True), **OF_UPLOADS},
    )
    async def create(
        request: Request, response: Response, service: Annotated[FileService[ModelT], Depends(provider)]
    ) -> BaseModel:
        base = path_above(request.scope, 0)
        async with service.unit_of_work():
            await service.end_reading()
            limits = resource.limits()
            upload = await receive_upload_or_fields(request, resource.policy(resource.schemas.create, limits=limits))
            if not isinstance(upload, Upload):
                return await _create_without_file(request, response, resource, service, upload)
            async with service.storing(upload, field=field) as file, service.turn():
                values = {} if upload.values is None else resource.settable(values_of(upload.values))
                row = await service.create({**resource.empty_lists, **values, field: file})
                response.headers["Location"] = resource.path(row, base)
                answer = await resource.show(service, row, base)
                await service.commit()
            return answer


def add_create_with_files(router: APIRouter, resource: Resource[ModelT], provider: Provider[ModelT]) -> None:
    """Add the route that stores the files of several columns, or none, and creates their row."""
    of_uploads = () if resource.uploads is None else (404,)
    needed = [attribute.name for attribute in resource.attributes if resource.needs(attribute)]

    @router.post(
        "/",
        status_code=201,
        response_model=resource.schemas.read,
        name=f"{resource.name}_create",
        summary=f"Upload the files of {with_article(resource.name)} and create it",
        dependencies=resource.claiming,
        responses={
            201: LOCATION_HEADER,
            **problems(400, 403, *of_uploads, 408, 409, 411, 413, 415, 422, 507, examples=OF_STORES),
        },
        openapi_extra={**files_body(resource, resource.attributes, with_fields=True), **OF_UPLOADS},
    )
    async def create(
        request: Request, response: Response, service: Annotated[FileService[ModelT], Depends(provider)]
    ) -> BaseModel:
        base, limits = path_above(request.scope, 0), resource.limits()
        async with service.unit_of_work(), AsyncExitStack() as stack:
            await service.end_reading()
            fields: BaseModel | None
            stored: Mapping[str, Sequence[FileObject]]
            if is_json(media_type(request.headers)):
                if needed and resource.uploads is None:
                    raise MissingFileError(needed[0])
                fields, stored = await _json_fields(request, resource, limits), {}
            else:
                policy = resource.policy(resource.schemas.create, limits=limits, attributes=resource.attributes)
                uploads = await receive_form(request, policy, resource.fields)
                stored = await stack.enter_async_context(service.storing_form(uploads))
                fields = uploads.values
            given, named = ({} if fields is None else values_of(fields)), None
            ids = given.pop(UPLOAD, []) if resource.uploads is not None else []
            values = resource.settable(given)
            if resource.uploads is not None:
                claimed = await named_uploads(resource.uploads.of(request, service), ids_in(ids))
                named = await stack.enter_async_context(claimed.placing(values=values))
            return await _write(service, resource, response, base, values, stored=stored, named=named)


async def _create_without_file(
    request: Request,
    response: Response,
    resource: Resource[ModelT],
    service: FileService[ModelT],
    form: Mapping[str, str] | None,
) -> BaseModel:
    """Create a row of a form that has no file, or of JSON."""
    limits, base = resource.limits(), path_above(request.scope, 0)
    validate = resource.policy(resource.schemas.create, limits=limits).validate
    fields = await _json_fields(request, resource, limits) if form is None or validate is None else validate(form)
    return await _write(service, resource, response, base, resource.settable(values_of(fields)))


async def _write(
    service: FileService[ModelT],
    resource: Resource[ModelT],
    response: Response,
    base: str,
    values: Mapping[str, object],
    *,
    stored: Mapping[str, Sequence[FileObject]] = NO_FILES,
    named: NamedUploads | None = None,
) -> BaseModel:
    """Create a row with files that are stored, and those of uploads; tell where it is, and return it as it is shown."""
    async with service.turn():
        claim = None if named is None else await named.take()
        files = _files_of(resource, stored, NO_FILES if claim is None else claim.files)
        row = await service.create({**resource.empty_lists, **values, **files})
        place = response.headers["Location"] = resource.path(row, base)
        if claim is not None:
            await claim.note_row(place)
        answer = await resource.show(service, row, base)
        await service.commit()
    return answer


def _files_of(
    resource: Resource[ModelT], stored: Mapping[str, Sequence[FileObject]], claimed: Mapping[str, Sequence[FileObject]]
) -> dict[str, object]:
    """Return the files of a new row by attribute.

    Raises:
        MissingFileError: There is none where the column needs one.
        TooManyFilesError: There are several where the column has one.
    """
    values = dict[str, object]()
    for attribute in resource.attributes:
        files = [*stored.get(attribute.name, ()), *claimed.get(attribute.name, ())]
        if attribute.type.multiple and files:
            attribute.type.rules.check_count(len(files), field=attribute.name)
            values[attribute.name] = files
        elif len(files) > 1:
            raise TooManyFilesError(limit=1, actual=len(files), field=attribute.name)
        elif files:
            values[attribute.name] = files[0]
        elif resource.needs(attribute):
            raise MissingFileError(attribute.name)
    return values


async def _json_fields(request: Request, resource: Resource[ModelT], limits: FormLimits) -> BaseModel:
    body = await json_body(request, limits.json_body_size, pace=limits.pace)
    try:
        return validate_json(resource.schemas.create_json, body, limits=limits)
    except InvalidFieldsError as error:
        raise resource.name_columns(error, "create") from None


def add_list(
    router: APIRouter, resource: Resource[ModelT], provider: Provider[ModelT], sortable: Sequence[str] = ()
) -> None:
    """Add the routes that list rows, in the order that a client chooses of the `sortable` columns, if there are any."""
    page_type = page_schema(resource.schemas.read)

    async def no_sort() -> None:
        return None

    async def read_sort(sort: Annotated[Sequence[str], Query(include_in_schema=False)] = ()) -> Sequence[str]:
        return sort

    @router.head("/", response_model=page_type, name=f"{resource.name}_list_head", include_in_schema=False)
    @router.get(
        "/",
        response_model=page_type,
        name=f"{resource.name}_list",
        summary=f"List {resource.name} rows, a page at a time",
        responses=problems(422, examples=(InvalidCursorError,)),
        openapi_extra=sort_parameter(sortable) if sortable else None,
    )
    async def list_rows(
        request: Request,
        service: Annotated[FileService[ModelT], Depends(provider)],
        page_limit: Annotated[
            int, Query(alias="limit", ge=1, le=MAX_LIMIT, description="Rows on the page.")
        ] = DEFAULT_LIMIT,
        page_after: Annotated[str | None, Query(alias="after", description="`next_cursor` of the page before.")] = None,
        page_sort: Annotated[Sequence[str] | None, Depends(read_sort if sortable else no_sort)] = None,
    ) -> dict[str, object]:
        base = path_above(request.scope, 0)
        async with service.unit_of_work():
            page = await service.list(limit=page_limit, after=page_after, sort=page_sort)
            await resource.load(service, page.items)
            items = [await resource.show(service, row, base) for row in page.items]
            return {"items": items, "next_cursor": page.next_cursor}
