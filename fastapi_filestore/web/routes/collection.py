"""Add the routes of a model's rows as a whole: create one, list them, sign where a file may be stored beforehand.

Each endpoint is a unit of work that ends before its response is made, so that a failing commit is a problem like any
other.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Literal, TypeVar

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel

from fastapi_filestore.file_object import FileObject
from fastapi_filestore.intake.names import MEDIA_TYPE
from fastapi_filestore.service import FileService
from fastapi_filestore.service.pages import DEFAULT_LIMIT, MAX_LIMIT
from fastapi_filestore.web.paths import path_above
from fastapi_filestore.web.receiving.form_fields import values_of
from fastapi_filestore.web.receiving.uploads import receive_upload
from fastapi_filestore.web.routes.openapi import LOCATION_HEADER, OF_UPLOADS, form_body, problems, sort_parameter
from fastapi_filestore.web.routes.resource import Resource
from fastapi_filestore.web.routes.schemas import page_schema

ModelT = TypeVar("ModelT")
Provider = Callable[..., FileService[ModelT]]


class UploadURL(BaseModel):
    """Where a client may store a file by itself: send `method` with `headers` and the bytes to `upload_url`."""

    upload_url: str
    method: Literal["GET", "PUT"]
    headers: dict[str, str]
    filename: str
    expires_in: int


def add_create(router: APIRouter, resource: Resource[ModelT], provider: Provider[ModelT]) -> None:
    """Add the route that stores a file and creates its row."""
    field = resource.attribute.name

    @router.post(
        "/",
        status_code=201,
        response_model=resource.schemas.read,
        name=f"{resource.name}_create",
        summary=f"Upload a file and create its {resource.name}",
        responses={201: LOCATION_HEADER, **problems(400, 403, 408, 409, 411, 413, 415, 422, 507)},
        openapi_extra={**form_body(resource, with_fields=True), **OF_UPLOADS},
    )
    async def create(
        request: Request, response: Response, service: Annotated[FileService[ModelT], Depends(provider)]
    ) -> BaseModel:
        base = path_above(request.scope, 0)
        async with service.unit_of_work():
            await service.end_reading()
            upload = await receive_upload(request, resource.policy(resource.schemas.create, limits=resource.limits()))
            async with service.storing(upload, field=field) as file, service.turn():
                values = {} if upload.values is None else resource.settable(values_of(upload.values))
                row = await service.create({**values, field: file})
                response.headers["Location"] = resource.path(row, base)
                answer = await resource.show(service, row, base)
                await service.commit()
            return answer


def add_list(
    router: APIRouter, resource: Resource[ModelT], provider: Provider[ModelT], sortable: Sequence[str] = ()
) -> None:
    """Add the routes that list rows, in the order that a client chooses of the `sortable` columns, if there are any."""
    page_type = page_schema(resource.schemas.read)

    def no_sort() -> None:
        return None

    def read_sort(sort: Annotated[Sequence[str], Query(include_in_schema=False)] = ()) -> Sequence[str]:
        return sort

    @router.head("/", response_model=page_type, name=f"{resource.name}_list_head", include_in_schema=False)
    @router.get(
        "/",
        response_model=page_type,
        name=f"{resource.name}_list",
        summary=f"List {resource.name} rows, a page at a time",
        responses=problems(422),
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
            items = [await resource.show(service, row, base) for row in page.items]
            return {"items": items, "next_cursor": page.next_cursor}


def add_upload_url(router: APIRouter, resource: Resource[ModelT], provider: Provider[ModelT]) -> None:
    """Add the route that signs URLs which clients can store files at."""

    @router.post(
        "/upload-url",
        name=f"{resource.name}_upload_url",
        summary="Sign a URL that a client can store a file at by itself",
        responses=problems(415, 422, 501),
    )
    async def upload_url(
        service: Annotated[FileService[ModelT], Depends(provider)],  # whose scope knows who may ask
        file_name: Annotated[str, Query(alias="filename", min_length=1, max_length=1024)],
        file_type: Annotated[
            str, Query(alias="content_type", max_length=255, json_schema_extra={"pattern": MEDIA_TYPE})
        ] = "application/octet-stream",
    ) -> UploadURL:
        column = resource.attribute.type
        file = FileObject(column.backend, file_name, content_type=file_type, registry=column.registry)
        resource.check_type(file)
        seconds = resource.url_seconds()
        async with service.unit_of_work():
            signed = await service.sign_upload(
                file, field=resource.attribute.name, expires_in=seconds, max_size=resource.rules.max_size
            )
        return UploadURL(
            upload_url=signed.url,
            method=signed.method,
            headers=dict(signed.headers),
            filename=file.filename,
            expires_in=seconds,
        )
