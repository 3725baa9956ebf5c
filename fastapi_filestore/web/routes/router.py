"""The prebuilt router: upload, list, read, download, replace, change and delete the rows of one model.

Each endpoint is a unit of work that ends before its response is made, so that a failing commit is a problem like any
other, and no download holds a connection.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.params import Depends as Dependency
from pydantic import BaseModel

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.intake.names import MEDIA_TYPE
from fastapi_filestore.intake.upload import Upload
from fastapi_filestore.service import FileService
from fastapi_filestore.service.pages import DEFAULT_LIMIT, MAX_LIMIT
from fastapi_filestore.web.preconditions import is_conditional, require_file_state, require_row_state
from fastapi_filestore.web.problems import ProblemRoute
from fastapi_filestore.web.receiving.bodies import json_body, own_limit
from fastapi_filestore.web.receiving.form_fields import validated_json, values_of
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
from fastapi_filestore.web.slashes import path_of

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
    router = APIRouter(route_class=ProblemRoute, dependencies=list(dependencies), tags=[resource.name], **own_limit())
    _add_collection(router, resource, provider)
    if upload_url:
        _add_upload_url(router, resource, provider)
    annotated: Any = Annotated
    key = annotated[resource.identity_type, Path(alias=identity)]
    _add_row(router, resource, provider, path=f"/{{{identity}}}", key=key)
    _add_file(router, resource, provider, path=f"/{{{identity}}}/file", key=key)
    return router


def _add_collection(router: APIRouter, resource: Resource[ModelT], provider: Provider) -> None:
    page_type, field = page_schema(resource.model.__name__, resource.schemas.read), resource.attribute.name

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
        request: Request, response: Response, service: Annotated[FileService[Any], Depends(provider)]
    ) -> BaseModel:
        base = _base(request, below=0)
        async with service.unit_of_work():
            await service.end_reading()
            policy = resource.policy(resource.schemas.create, limits=resource.limits())
            upload = await receive_upload(request, policy)
            async with service.storing(upload, field=field) as file, service.turn():
                row = await service.create({**_values(resource, upload), field: file})
                response.headers["Location"] = resource.path(row, base)
                shown = await resource.told(service, row, base)
                await service.commit()
            return shown

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
        service: Annotated[FileService[Any], Depends(provider)],
        page_limit: Annotated[
            int, Query(alias="limit", ge=1, le=MAX_LIMIT, description="Rows on the page.")
        ] = DEFAULT_LIMIT,
        page_after: Annotated[str | None, Query(alias="after", description="`next_cursor` of the page before.")] = None,
    ) -> dict[str, Any]:
        base = _base(request, below=0)
        async with service.unit_of_work():
            page = await service.list(limit=page_limit, after=page_after)
            items = [await resource.told(service, row, base) for row in page.items]
            return {"items": items, "next_cursor": page.next_cursor}


def _add_upload_url(router: APIRouter, resource: Resource[ModelT], provider: Provider) -> None:
    @router.post(
        "/upload-url",
        name=f"{resource.name}_upload_url",
        summary="Sign a URL that a client can store a file at by itself",
        responses=problems(415, 422, 501),
    )
    async def upload_url(
        service: Annotated[FileService[Any], Depends(provider)],  # whose scope knows who may ask
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


def _add_row(router: APIRouter, resource: Resource[ModelT], provider: Provider, *, path: str, key: Any) -> None:
    service_type = Annotated[FileService[Any], Depends(provider)]
    identity_type = key

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
    async def read(request: Request, identity: identity_type, service: service_type) -> BaseModel:  # type: ignore[valid-type]
        async with service.unit_of_work():
            return await resource.told(service, await service.get(identity), _base(request, below=1))

    @router.patch(
        path,
        response_model=resource.schemas.read,
        name=f"{resource.name}_update",
        summary=f"Change fields of a {resource.name}",
        responses=problems(400, 403, 404, 408, 409, 411, 412, 413, 415, 422),
        openapi_extra=json_request(resource.schemas.update),
    )
    async def update(request: Request, identity: identity_type, service: service_type) -> BaseModel:  # type: ignore[valid-type]
        async with service.unit_of_work():
            await service.require(identity)
            require_row_state(request)
            await service.end_reading()
            limits = resource.limits()
            body = await json_body(request, limits.json_body_size, pace=limits.pace)
            fields = validated_json(resource.schemas.update, body, limits=limits)
            values = resource.settable(values_of(fields, only_set=True))
            async with service.turn():
                row = await service.update(identity, values)
                shown = await resource.told_anew(service, row, _base(request, below=1))
                await service.commit()
            return shown

    @router.delete(
        path,
        status_code=204,
        name=f"{resource.name}_delete",
        summary=f"Delete a {resource.name} and its file",
        responses=problems(404, 409, 412, 422),
    )
    async def delete(request: Request, identity: identity_type, service: service_type) -> None:  # type: ignore[valid-type]
        async with service.unit_of_work():
            if is_conditional(request):
                await service.require(identity)
                require_row_state(request)
            async with service.turn():
                await service.delete(identity)
                await service.commit()


def _add_file(router: APIRouter, resource: Resource[ModelT], provider: Provider, *, path: str, key: Any) -> None:
    service_type = Annotated[FileService[Any], Depends(provider)]
    identity_type = key
    field = resource.attribute.name

    @router.get(
        path,
        response_class=Response,
        name=f"{resource.name}_download",
        summary=f"Download the file of a {resource.name}",
        responses={**FILE_RESPONSES, **(REDIRECTS if resource.redirects else {}), **problems(404, 412, 416, 422)},
    )
    async def read_file(request: Request, identity: identity_type, service: service_type) -> Response:  # type: ignore[valid-type]
        async with service.unit_of_work():
            file = await service.file(identity, field=field)
        return await resource.download(request, file)

    @router.head(
        path,
        response_class=Response,
        name=f"{resource.name}_download_head",
        summary=f"Read the headers of a {resource.name}'s file",
        responses={**HEAD_RESPONSES, **problems(404, 412, 422)},
    )
    async def read_file_head(request: Request, identity: identity_type, service: service_type) -> Response:  # type: ignore[valid-type]
        async with service.unit_of_work():
            file = await service.file(identity, field=field)
        return await resource.download(request, file)

    @router.put(
        path,
        response_model=resource.schemas.read,
        name=f"{resource.name}_replace",
        summary=f"Replace the file of a {resource.name}",
        responses=problems(400, 403, 404, 408, 409, 411, 412, 413, 415, 422, 507),
        openapi_extra=form_body(resource, with_fields=False),
    )
    async def replace(request: Request, identity: identity_type, service: service_type) -> BaseModel:  # type: ignore[valid-type]
        async with service.unit_of_work():
            # Before a gigabyte is read for nothing.
            if is_conditional(request):
                require_file_state(request, await service.peek_file(identity, field=field))
            else:
                await service.require(identity)
            await service.end_reading()
            upload = await receive_upload(request, resource.policy(NoFields))
            async with service.storing(upload, field=field, identity=identity) as file, service.turn():
                if is_conditional(request):
                    # Now that nobody else can write: it may have been replaced while this one was on its way.
                    require_file_state(request, await service.lock_file(identity, field=field))
                row = await service.replace(identity, file, field=field)
                shown = await resource.told_anew(service, row, _base(request, below=2))
                await service.commit()
            return shown


def _values(resource: Resource[ModelT], upload: Upload) -> Mapping[str, object]:
    return {} if upload.values is None else resource.settable(values_of(upload.values))


def _base(request: Request, *, below: int) -> str:
    """Return the path that clients reach the collection at, so many segments above the request's."""
    whole = path_of(request.scope).removesuffix("/")
    return quote(whole.rsplit("/", below)[0] if below else whole)
