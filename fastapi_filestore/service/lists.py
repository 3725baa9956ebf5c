"""Edit the lists of files that rows hold: `FileLists`, the part of a service that appends, removes and reorders.

Every edit begins with what the database says the list is, under the lock of its row, so that two at once lose nothing.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from typing import TypeVar

from fastapi_filestore.concurrency.awaited import must_await
from fastapi_filestore.errors import InvalidFieldsError, ListedFileNotFoundError, PendingContentError
from fastapi_filestore.file_object import FileObject, Location
from fastapi_filestore.intake.upload import Uploads
from fastapi_filestore.orm.column.assignment import as_some_files
from fastapi_filestore.orm.column.attributes import FileAttribute, list_attribute
from fastapi_filestore.service.rows import Rows
from fastapi_filestore.service.storing import Storing

ModelT = TypeVar("ModelT")
Edit = Callable[[list[FileObject]], list[FileObject]]


class FileLists(Storing[ModelT]):
    """Edits the lists of files of rows, whatever other transactions do to them meanwhile.

    A file of a list is named by its `id`, which stays the same for as long as it is stored.
    """

    @must_await
    async def append(self, identity: object, files: object, *, field: str | None = None) -> ModelT:
        """Add files to the end of a row's list, whatever other transactions do to the list meanwhile.

        The bytes are stored first. Then the row is locked, and the files are added to what its list holds by then.

        Args:
            identity: The row's primary key.
            files: A file, or several: FileObjects, Uploads or UploadFiles.
            field: The list column, if the model has several.

        Raises:
            RowNotFoundError: There is no such row in the scope.
            ConfigurationError: The model has no such list column.
            TooManyFilesError: The list would be longer than the column takes.
            StorageError: A file can't be stored.
        """
        return await self._put(identity, files, list_attribute(self.model, field), lambda new: lambda old: [*old, *new])

    @must_await
    async def exchange(self, identity: object, file_id: str, file: object, *, field: str | None = None) -> ModelT:
        """Put another file in the place of one of a row's list; the old one goes when this is committed.

        The new one has an id of its own. For the other arguments, and what else is raised, see `append`.

        Raises:
            ListedFileNotFoundError: The list has no file of that id, or none any more.
        """
        attribute = list_attribute(self.model, field)

        def edit_with(new: Sequence[FileObject]) -> Edit:
            def edit(files: list[FileObject]) -> list[FileObject]:
                place = self._place(files, file_id, attribute)
                return [*files[:place], *new, *files[place + 1 :]]

            return edit

        return await self._put(identity, [file], attribute, edit_with)

    @must_await
    async def remove(self, identity: object, files: object, *, field: str | None = None, purge: bool = False) -> ModelT:
        """Take files out of a row's list, whatever other transactions do to the list meanwhile.

        The row is locked first. Files that are not, or no longer, in the list are no error; the bytes of the others go
        when this is committed, or are kept as long as the ledger says, unless you `purge` them. For the other
        arguments, and what is raised, see `append`.

        Raises:
            PendingContentError: A file was never stored, so that no row can hold it.
        """
        attribute = list_attribute(self.model, field)
        unwanted = set[Location]()
        for file in as_some_files(files):
            if not file.is_stored:
                raise PendingContentError(f"{file.filename!r} can't be taken out of a list: {file.state.value}.")
            unwanted.add(file.location)
        return await self._run(
            self._begin(writing=True),
            Rows(self.model, self.scope).edit,
            identity,
            attribute,
            lambda files: [file for file in files if file.location not in unwanted],
            purge=purge,
        )

    @must_await
    async def reorder(self, identity: object, ids: Iterable[str], *, field: str | None = None) -> ModelT:
        """Put the files of a row's list in the order of their ids; no byte moves.

        Raises:
            InvalidFieldsError: The ids are not those of all files that the list has now, each once: one may have been
                added or removed since the list was read.
        """
        attribute, order = list_attribute(self.model, field), list(ids)  # which may be read once

        def edit(files: list[FileObject]) -> list[FileObject]:
            known = {file.id: file for file in files}
            if Counter(order) != Counter(file.id for file in files):
                message = (
                    f"This is not every id of the list once: it has {len(files)} files. Read it again, and send the "
                    "ids of all of them in their new order"
                )
                raise InvalidFieldsError([{"loc": (attribute.name,), "msg": message, "type": "not_an_order"}])
            return [known[name] for name in order]

        return await self._run(self._begin(writing=True), Rows(self.model, self.scope).edit, identity, attribute, edit)

    @must_await
    async def listed_file(
        self, identity: object, file_id: str, *, field: str | None = None, lock: bool = False
    ) -> FileObject:
        """Return a file of a row's list by its id.

        With `lock`, it is one that the list has in the database now, and others can't change the list until the end of
        the transaction. Without, no connection is held afterwards.

        Raises:
            RowNotFoundError: There is no such row in the scope.
            ListedFileNotFoundError: The list has no file of that id, or none any more.
        """
        attribute = list_attribute(self.model, field)
        rows = Rows(self.model, self.scope)
        read = rows.lock_files if lock else rows.peek_files
        files = await self._run(self._begin(writing=lock), read, identity, attribute)
        return files[self._place(files, file_id, attribute)]

    @must_await
    async def listed_files(self, identity: object, *, field: str | None = None) -> Sequence[FileObject]:
        """Return the files of a row's list in their order; no connection is held for them afterwards.

        Raises:
            RowNotFoundError: There is no such row in the scope.
            UnreadableFileError: The row holds something else.
        """
        attribute = list_attribute(self.model, field)
        return await self._run(self._begin(), Rows(self.model, self.scope).peek_list, identity, attribute)

    # -- inside --------------------------------------------------------------------------------------

    async def _put(
        self,
        identity: object,
        files: object,
        attribute: FileAttribute,
        edit_with: Callable[[Sequence[FileObject]], Edit],
    ) -> ModelT:
        """Store files, and edit the list of a row with them under its lock."""
        part = self._begin(writing=True)
        async with AsyncExitStack() as stack:
            if isinstance(files, Uploads):
                await self._run(self._begin(), Rows(self.model, self.scope).require, identity)
            known = await self._values_of_row(identity, {}, [attribute])
            if isinstance(files, Uploads):
                files = await self._store_all(files, attribute, known, stack)
            new = attribute.type.files(as_some_files(files), of=known)
            await self._store(new, part, stack, identity)
            return await self._run(part, Rows(self.model, self.scope).edit, identity, attribute, edit_with(new))

    def _place(self, files: Sequence[FileObject], file_id: str, attribute: FileAttribute) -> int:
        for place, file in enumerate(files):
            if file.is_stored and file.id == file_id:
                return place
        raise ListedFileNotFoundError(self.model.__name__, attribute.name, file_id)
