"""Build the router of a model: upload, list, read, download, replace, change and delete its rows.

Each endpoint is a unit of work that ends before its response is made, so that a failing commit is a problem like any
other, and no download holds a connection.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.params import Depends as Dependency
from pydantic import BaseModel

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.intake.names import MEDIA_TYPE
from fastapi_filestore.service import FileService
from fastapi_filestore.service.pages import DEFAULT_LIMIT, MAX_LIMIT
from fastapi_filestore.web.paths import path_above
from fastapi_filestore.web.preconditions import is_conditional, require_file_state, require_row_state
from fastapi_filestore.web.problems import ProblemRoute
from fastapi_filestore.web.receiving.bodies import json_body, without_app_limit
from fastapi_filestore.web.receiving.form_fields import validate_json, values_of
from fastapi_filestore.web.receiving.uploads import receive_upload
from fastapi_filestore.web.routes.openapi import (
    FILE_RESPONSES,
    HEAD_RESPONSES,
    LOCATION_HEADER,
    REDIRECTS,
    form_body,
    json_request,
    problems,
)
from fastapi_filestore.web.routes.resource import Resource
from fastapi_filestore.web.routes.schemas import NoFields, page_schema

ModelT = TypeVar("ModelT")
Provider = Callable[..., Any]


class UploadURL(BaseModel):
    """Where a client may store a file by itself: send `method` with `headers` and the bytes to `upload_url`."""

    upload_url: str
    method: Literal["GET", "PUT"]
    headers: dict[str, str]
    filename: str
    expires_in: int


def file_router(
    resource: Resource[ModelT],
    provider: Provider,
    *,
    dependencies: Sequence[Dependency] = (),
    upload_url: bool = False,
    identity: str = "identity",
) -> APIRouter:
    """Build the routes of one model.

    Args:
        resource: The model and how it is shown.
        provider: The dependency that gives the model's service.
        dependencies: What must hold before a byte of the body is read: authorization, rate limits.
        upload_url: Add the route that signs upload URLs.
        identity: What the paths call a row's primary key.
    """
    if not identity.isidentifier():
        raise ConfigurationError(f"A path can't call a key {identity!r}: use a name such as document_id.")
    router = APIRouter(
        route_class=ProblemRoute, dependencies=list(dependencies), tags=[resource.name], **without_app_limit()
    )
    _add_create(router, resource, provider)
    _add_list(router, resource, provider)
    if upload_url:
        _add_upload_url(router, resource, provider)
    annotated: Any = Annotated
    key = annotated[resource.identity_type, Path(alias=identity)]
    row_path, file_path = f"/{{{identity}}}", f"/{{{identity}}}/file"
    _add_read(router, resource, provider, row_path, key)
    _add_update(router, resource, provider, row_path, key)
    _add_delete(router, resource, provider, row_path, key)
    _add_download(router, resource, provider, file_path, key)
    _add_replace(router, resource, provider, file_path, key)
    return router


def _add_create(router: APIRouter, resource: Resource[ModelT], provider: Provider) -> None:
    field = resource.attribute.name

    @router.post(
        "/",
        status_code=201,
        response_model=resource.schemas.read,
        name=f"{resource.name}_create",
        summary=f"Upload a file and create its {resource.name}",
        responses={201: LOCATION_HEADER, **problems(400, 403, 408, 409, 411, 413, 415, 422, 507)},
        openapi_extra=form_body(resource, with_fields=True),
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
                answer = await resource.show_loaded(service, row, base)
                await service.commit()
            return answer


def _add_list(router: APIRouter, resource: Resource[ModelT], provider: Provider) -> None:
    page_type = page_schema(resource.model.__name__, resource.schemas.read)

    @router.head("/", response_model=page_type, name=f"{resource.name}_list_head", include_in_schema=False)
    @router.get(
        "/",
        response_model=page_type,
        name=f"{resource.name}_list",
        summary=f"List {resource.name} rows, a page at a time",
        responses=problems(422),
    )
    async def list_rows(
        request: Request,
        service: Annotated[FileService[ModelT], Depends(provider)],
        page_limit: Annotated[
            int, Query(alias="limit", ge=1, le=MAX_LIMIT, description="Rows on the page.")
        ] = DEFAULT_LIMIT,
        page_after: Annotated[str | None, Query(alias="after", description="`next_cursor` of the page before.")] = None,
    ) -> dict[str, Any]:
        base = path_above(request.scope, 0)
        async with service.unit_of_work():
            page = await service.list(limit=page_limit, after=page_after)
            items = [await resource.show_loaded(service, row, base) for row in page.items]
            return {"items": items, "next_cursor": page.next_cursor}


def _add_upload_url(router: APIRouter, resource: Resource[ModelT], provider: Provider) -> None:
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


def _add_read(router: APIRouter, resource: Resource[ModelT], provider: Provider, path: str, key: Any) -> None:
    @router.head(
        path,
        response_model=resource.schemas.read,
        name=f"{resource.name}_read_head",
        include_in_schema=False,
    )
    @router.get(
        path,
        response_model=resource.schemas.read,
        name=f"{resource.name}_read",
        summary=f"Read a {resource.name}",
        responses=problems(404, 422),
    )
    async def read(
        request: Request,
        identity: key,  # pyright: ignore[reportInvalidTypeForm]
        service: Annotated[FileService[ModelT], Depends(provider)],
    ) -> BaseModel:
        base = path_above(request.scope, 1)
        async with service.unit_of_work():
            return await resource.show_loaded(service, await service.get(identity), base)


def _add_update(router: APIRouter, resource: Resource[ModelT], provider: Provider, path: str, key: Any) -> None:
    @router.patch(
        path,
        response_model=resource.schemas.read,
        name=f"{resource.name}_update",
        summary=f"Change fields of a {resource.name}",
        responses=problems(400, 403, 404, 408, 409, 411, 412, 413, 415, 422),
        openapi_extra=json_request(resource.schemas.update),
    )
    async def update(
        request: Request,
        identity: key,  # pyright: ignore[reportInvalidTypeForm]
        service: Annotated[FileService[ModelT], Depends(provider)],
    ) -> BaseModel:
        async with service.unit_of_work():
            await service.require(identity)
            require_row_state(request)
            await service.end_reading()
            limits = resource.limits()
            body = await json_body(request, limits.json_body_size, pace=limits.pace)
            with resource.naming_columns("update"):
                fields = validate_json(resource.schemas.update, body, limits=limits)
            values = resource.settable(values_of(fields, only_set=True))
            async with service.turn():
                row = await service.update(identity, values)
                answer = await resource.show_loaded(service, row, path_above(request.scope, 1), changed=True)
                await service.commit()
            return answer


def _add_delete(router: APIRouter, resource: Resource[ModelT], provider: Provider, path: str, key: Any) -> None:
    @router.delete(
        path,
        status_code=204,
        name=f"{resource.name}_delete",
        summary=f"Delete a {resource.name} and its file",
        responses=problems(404, 409, 412, 422),
    )
    async def delete(
        request: Request,
        identity: key,  # pyright: ignore[reportInvalidTypeForm]
        service: Annotated[FileService[ModelT], Depends(provider)],
    ) -> None:
        async with service.unit_of_work():
            if is_conditional(request):
                await service.require(identity)
                require_row_state(request)
            async with service.turn():
                await service.delete(identity)
                await service.commit()


def _add_download(router: APIRouter, resource: Resource[ModelT], provider: Provider, path: str, key: Any) -> None:
    async def read_file(
        request: Request,
        identity: key,  # pyright: ignore[reportInvalidTypeForm]
        service: Annotated[FileService[ModelT], Depends(provider)],
    ) -> Response:
        async with service.unit_of_work():
            file = await service.file(identity, field=resource.attribute.name)
        return await resource.download(request, file)

    router.get(
        path,
        response_class=Response,
        name=f"{resource.name}_download",
        summary=f"Download the file of a {resource.name}",
        responses={**FILE_RESPONSES, **(REDIRECTS if resource.redirects else {}), **problems(404, 412, 416, 422)},
    )(read_file)
    router.head(
        path,
        response_class=Response,
        name=f"{resource.name}_download_head",
        summary=f"Read the headers of a {resource.name}'s file",
        responses={**HEAD_RESPONSES, **problems(404, 412, 422)},
    )(read_file)


def _add_replace(router: APIRouter, resource: Resource[ModelT], provider: Provider, path: str, key: Any) -> None:
    field = resource.attribute.name

    @router.put(
        path,
        response_model=resource.schemas.read,
        name=f"{resource.name}_replace",
        summary=f"Replace the file of a {resource.name}",
        responses=problems(400, 403, 404, 408, 409, 411, 412, 413, 415, 422, 507),
        openapi_extra=form_body(resource, with_fields=False),
    )
    async def replace(
        request: Request,
        identity: key,  # pyright: ignore[reportInvalidTypeForm]
        service: Annotated[FileService[ModelT], Depends(provider)],
    ) -> BaseModel:
        conditional = is_conditional(request)
        async with service.unit_of_work():
            # Before a gigabyte is read for nothing.
            if conditional:
                require_file_state(request, await service.peek_file(identity, field=field))
            else:
                await service.require(identity)
            await service.end_reading()
            upload = await receive_upload(request, resource.policy(NoFields))
            async with service.storing(upload, field=field, identity=identity) as file, service.turn():
                if conditional:
                    # Now that nobody else can write: it may have been replaced while this one was on its way.
                    require_file_state(request, await service.lock_file(identity, field=field))
                row = await service.replace(identity, file, field=field)
                answer = await resource.show_loaded(service, row, path_above(request.scope, 2), changed=True)
                await service.commit()
            return answer
