"""Add the routes of one row and of its file: read, change, delete; download, replace.

Each endpoint is a unit of work that ends before its response is made, so that no download holds a connection.
"""

from collections.abc import Callable
from typing import Annotated, Any, TypeAlias, TypeVar

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel

from fastapi_filestore.errors import InvalidFieldsError
from fastapi_filestore.service import FileService
from fastapi_filestore.web.paths import path_above
from fastapi_filestore.web.preconditions import is_conditional, require_file_state, require_row_state
from fastapi_filestore.web.receiving.bodies import json_body
from fastapi_filestore.web.receiving.form_fields import validate_json, values_of
from fastapi_filestore.web.receiving.uploads import receive_upload
from fastapi_filestore.web.routes.openapi import (
    FILE_RESPONSES,
    HEAD_RESPONSES,
    OF_CHANGES,
    OF_DOWNLOADS,
    OF_REPLACEMENTS,
    REDIRECTS,
    form_body,
    json_request,
    problems,
)
from fastapi_filestore.web.routes.resource import Resource
from fastapi_filestore.web.routes.schemas import NoFields

ModelT = TypeVar("ModelT")
Provider = Callable[..., FileService[ModelT]]
Key: TypeAlias = Any
"""The annotation of a row's primary key in a path: its type, and what the path calls it."""


def add_read(router: APIRouter, resource: Resource[ModelT], provider: Provider[ModelT], path: str, key: Key) -> None:
    """Add the routes that show a row."""

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
            return await resource.show(service, await service.get(identity), base)


def add_update(router: APIRouter, resource: Resource[ModelT], provider: Provider[ModelT], path: str, key: Key) -> None:
    """Add the route that changes fields of a row."""

    @router.patch(
        path,
        response_model=resource.schemas.read,
        name=f"{resource.name}_update",
        summary=f"Change fields of a {resource.name}",
        responses=problems(400, 403, 404, 408, 409, 411, 412, 413, 415, 422),
        openapi_extra={**json_request(resource.schemas.update), **OF_CHANGES},
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
            try:
                fields = validate_json(resource.schemas.update, body, limits=limits)
            except InvalidFieldsError as error:
                raise resource.name_columns(error, "update") from None
            values = resource.settable(values_of(fields, only_set=True))
            async with service.turn():
                row = await service.update(identity, values)
                answer = await resource.show(service, row, path_above(request.scope, 1), changed=True)
                await service.commit()
            return answer


def add_delete(router: APIRouter, resource: Resource[ModelT], provider: Provider[ModelT], path: str, key: Key) -> None:
    """Add the route that deletes a row and its file."""

    @router.delete(
        path,
        status_code=204,
        name=f"{resource.name}_delete",
        summary=f"Delete a {resource.name} and its file",
        responses=problems(404, 409, 412, 422),
        openapi_extra=OF_CHANGES,
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


def add_download(
    router: APIRouter, resource: Resource[ModelT], provider: Provider[ModelT], path: str, key: Key
) -> None:
    """Add the routes that serve the file of a row."""

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
        openapi_extra=OF_DOWNLOADS,
    )(read_file)
    router.head(
        path,
        response_class=Response,
        name=f"{resource.name}_download_head",
        summary=f"Read the headers of a {resource.name}'s file",
        responses={**HEAD_RESPONSES, **problems(404, 412, 422)},
        openapi_extra=OF_DOWNLOADS,
    )(read_file)


def add_replace(router: APIRouter, resource: Resource[ModelT], provider: Provider[ModelT], path: str, key: Key) -> None:
    """Add the route that replaces the file of a row."""
    field = resource.attribute.name

    @router.put(
        path,
        response_model=resource.schemas.read,
        name=f"{resource.name}_replace",
        summary=f"Replace the file of a {resource.name}",
        responses=problems(400, 403, 404, 408, 409, 411, 412, 413, 415, 422, 507),
        openapi_extra={**form_body(resource, with_fields=False), **OF_REPLACEMENTS},
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
                answer = await resource.show(service, row, path_above(request.scope, 2), changed=True)
                await service.commit()
            return answer
