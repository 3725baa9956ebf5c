"""Store the files of rows before the rows are written: `Storing`, the part of a service that moves bytes."""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext, suppress
from functools import partial
from typing import TypeVar

from sqlalchemy import ColumnElement, inspect

from fastapi_filestore.concurrency.awaited import must_await
from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.intake.rules import NO_RULES
from fastapi_filestore.intake.upload import Upload, Uploads
from fastapi_filestore.orm.column.attributes import FileAttribute, file_attribute, file_attributes
from fastapi_filestore.orm.column.row_values import KnownValues, values_of_new
from fastapi_filestore.orm.ledger.ledger import bound_ledger
from fastapi_filestore.orm.sessions import waiting_for_session
from fastapi_filestore.orm.unit_of_work.end import abandon
from fastapi_filestore.orm.unit_of_work.entries import room_beside
from fastapi_filestore.orm.unit_of_work.ownership import Delivery, own
from fastapi_filestore.orm.unit_of_work.read_only import end_if_only_read
from fastapi_filestore.orm.unit_of_work.state import state_of
from fastapi_filestore.orm.unit_of_work.transfer import store
from fastapi_filestore.service.rows import Rows
from fastapi_filestore.service.unit import Part, Transactional
from fastapi_filestore.storage.prefixes import NOTHING_KNOWN, Values

ModelT = TypeVar("ModelT")


class Storing(Transactional[ModelT]):
    """Stores files for rows that are written next, and deletes what no row takes."""

    scope: ColumnElement[bool] | None
    defaults: Mapping[str, object]

    @asynccontextmanager
    async def storing(
        self,
        file: object,
        *,
        field: str | None = None,
        identity: object = None,
        values: Values = NOTHING_KNOWN,
        is_whole: bool = True,
        needs_folder: bool = True,
    ) -> AsyncIterator[FileObject]:
        """Store a file whose row the block writes, for values that are known only when the file has arrived.

        What the block gives to no row is deleted again, as it is if the block raises.

        Args:
            file: A FileObject, an Upload or an UploadFile.
            field: The file column that it is for, if there are several.
            identity: The row that is to hold it, if that is there already: a column may choose its folder by the row.
            values: What is known of a new row, if that is to hold it.
            is_whole: Whether the column's rules judge it; they say nothing of a part of a file.
            needs_folder: Whether it must lie in the folder that the column chooses; else, where too little is known of
                the row for that, in none.

        >>> async with service.storing(upload) as file:
        ...     await service.create({"title": upload.fields["title"], "file": file})
        """
        attribute = file_attribute(self.model, field)
        known: Callable[[], Values] | None = self._values_of_new_row
        if values or identity is not None:
            known = await self._known(attribute, identity, values)
        async with AsyncExitStack() as stack:
            if not needs_folder:
                with suppress(ConfigurationError):
                    attribute.type.files([file] if attribute.type.multiple else file, of=known)
                known = None
            yield await self._store_one(file, attribute, known, stack, is_whole=is_whole)

    @must_await
    async def folder_of(self, field: str, *, identity: object = None, values: Values = NOTHING_KNOWN) -> str:
        """Return the folder that a column chooses for the file of a row: of one that is there, or of a new one.

        Raises:
            ConfigurationError: It is chosen by what is not known of the row.
        """
        attribute, probe = file_attribute(self.model, field), FileObject()
        known = await self._known(attribute, identity, values)
        attribute.type.files([probe] if attribute.type.multiple else probe, of=known)
        return probe.prefix

    @asynccontextmanager
    async def storing_all(
        self, files: AsyncIterable[object], *, field: str | None = None
    ) -> AsyncIterator[Sequence[FileObject]]:
        """Store files one after the other as they come, for rows that the block writes: all of them or none."""
        attribute = file_attribute(self.model, field)
        async with AsyncExitStack() as stack:
            yield await self._store_all(files, attribute, self._values_of_new_row, stack)

    @asynccontextmanager
    async def storing_form(
        self, uploads: AsyncIterable[Upload], *, identity: object = None
    ) -> AsyncIterator[Mapping[str, Sequence[FileObject]]]:
        """Store the files of a form as they come, each for the column that its field is called after: all or none.

        The block gets them by attribute, in the order of the form, and writes the row. What it gives to no row is
        deleted again, as it is if the block raises.
        """
        known = self._values_of_new_row
        if identity is not None:
            known = await self._values_of_row(identity, {}, file_attributes(inspect(self.model)))
        async with AsyncExitStack() as stack:
            await self.end_reading()  # the first one is read before it is known to be one
            stored = dict[str, list[FileObject]]()
            async for upload in uploads:
                attribute = file_attribute(self.model, upload.field)
                stored.setdefault(attribute.name, []).append(await self._store_one(upload, attribute, known, stack))
            yield stored

    # -- inside --------------------------------------------------------------------------------------

    async def _known(self, attribute: FileAttribute, identity: object, values: Values) -> Callable[[], Values]:
        if identity is not None:
            return await self._values_of_row(identity, {}, [attribute])
        return lambda: values_of_new(inspect(self.model), {**self.defaults, **values})

    def _values_of_new_row(self) -> Values:
        """Return what is known of a row before it is made."""
        return values_of_new(inspect(self.model), self.defaults)

    async def _values_of_row(
        self, identity: object, changes: Mapping[str, object], attributes: Iterable[FileAttribute]
    ) -> Callable[[], Values]:
        """Return what gives the values of a row that some are changed of; it is asked where a folder may need it."""
        if all(isinstance(attribute.type.folder, str) for attribute in attributes):
            return self._values_of_new_row
        columns = await self._run(self._begin(), Rows(self.model, self.scope).column_values, identity)
        known = KnownValues(inspect(self.model), {**self.defaults, **columns, **changes})
        return lambda: known

    async def _store_uploads(
        self, data: Mapping[str, object], known: Callable[[], Values], stack: AsyncExitStack
    ) -> dict[str, object]:
        """Return the values of a row, with the files that are on their way in stored."""
        values = dict(data)
        for name, value in data.items():
            if isinstance(value, Uploads):
                values[name] = await self._store_all(value, file_attribute(self.model, name), known, stack)
        return values

    async def _store_all(
        self, files: AsyncIterable[object], attribute: FileAttribute, known: Callable[[], Values], stack: AsyncExitStack
    ) -> Sequence[FileObject]:
        await self.end_reading()  # the first one is read before it is known to be one
        return [await self._store_one(file, attribute, known, stack) async for file in files]

    async def _store_one(
        self,
        file: object,
        attribute: FileAttribute,
        known: Callable[[], Values] | None,
        stack: AsyncExitStack,
        *,
        is_whole: bool = True,
    ) -> FileObject:
        (waiting,) = attribute.type.files([file] if attribute.type.multiple else file, of=known)
        if not is_whole:
            waiting.custody.rules = NO_RULES
        await self._store([waiting], self._begin(writing=True), stack)
        return waiting

    async def _store(self, files: Iterable[FileObject], part: Part, stack: AsyncExitStack, *rows: object) -> None:
        """Store those files that are still to be stored, for rows that are written before the stack ends.

        What no flush has taken over by then is deleted.

        Args:
            files: Files, stored ones among them.
            part: The call that stores them.
            stack: The end of the call, or of the caller's block.
            rows: Primary keys of rows that are to hold them, and must be there.

        Raises:
            SharedFileError: Another unit of work is about to write one of them to a row of its own.
        """
        waiting = [file for file in files if not file.is_stored]
        if not waiting:
            return
        delivery = Delivery(part.session, waiting)
        own(delivery, waiting)
        stack.push_async_callback(abandon, self.session, delivery)
        for identity in rows:
            await self._run(self._begin(), Rows(self.model, self.scope).require, identity)
        part.refuse_ended()  # before bytes move
        if (
            state_of(part.session).is_connected
            and not self.hold_session
            and any(
                file.is_arriving or file.is_upload or file.is_stored_once or file.custody.copied_from is not None
                for file in waiting
            )
        ):
            await self._run(part, end_if_only_read)
        access = bound_ledger(part.session, inspect(self.model))
        claimed = [(file, access) for file in waiting]
        turn = nullcontext() if access is None else waiting_for_session(part.session)
        await store(claimed, use=partial(room_beside, part.session, claimed), turn=turn)
        own(delivery, waiting)  # those, too, that a flush has meanwhile failed to store
