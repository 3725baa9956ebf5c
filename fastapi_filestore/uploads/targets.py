"""Say what a client is going to send, and hold it against the rules of the column that it is for."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi_filestore.file_object import FileObject
from fastapi_filestore.intake.rules import NO_RULES, FileRules
from fastapi_filestore.intake.types.media_types import likely_type
from fastapi_filestore.intake.validators import Candidate
from fastapi_filestore.orm.column.attributes import FileAttribute


@dataclass(frozen=True, slots=True)
class Target:
    """A column that uploads are for, and the rules of its router beside those of its own."""

    attribute: FileAttribute
    rules: FileRules = NO_RULES

    @property
    def both_rules(self) -> tuple[FileRules, FileRules]:
        """The rules of the router and those of the column."""
        return self.rules, self.attribute.type.rules

    @property
    def most_bytes(self) -> int | None:
        """How large a file may be; None if neither says so."""
        return min((rules.max_size for rules in self.both_rules if rules.max_size is not None), default=None)

    def file(self, file: FileObject) -> FileObject:
        """Return a file that is on its way to the column, with the column's backend and rules."""
        column = self.attribute.type
        (chosen,) = column.files([file] if column.multiple else file)
        return chosen

    def check_announced(self, file: FileObject, size: int | None, *, is_part: bool = False) -> None:
        """Raise an `UploadError` for a file that is announced to be too large, or of a type that is not taken.

        Of a part only the size says anything: clients tell name and type of the upload that is made of it.
        """
        for rules in self.both_rules:
            if size is not None:
                rules.check_size(size)
            if is_part:
                continue
            # Without a look at the bytes, the store keeps the type that is declared, whatever the name says.
            kept = likely_type(file.content_type, file.filename, None) if rules.sniffs else file.content_type
            rules.check_declared(Candidate(file.filename, file.content_type, None, kept))

    async def judge(self, file: FileObject) -> None:
        """Raise an `UploadError` unless a stored file is one that the router and the column take."""
        column = self.attribute.type.rules
        for rules in self.both_rules:
            file.custody.rules = rules
            await file.check_async()
        file.note_checked(column)


@dataclass(frozen=True, slots=True)
class Announced:
    """What a client says that it will send.

    Attributes:
        filename, content_type: Those of the file.
        size: Bytes, if it knows them.
        checksum: Their SHA-256, in hexadecimal digits, if it knows that.
        metadata: Upload-Metadata of a client of tus, as it was received.
        concat: Upload-Concat of such a client, as it was received: `partial`, or `final;` and the parts.
        parts: The ids of the uploads that it is made of.
    """

    filename: str
    content_type: str
    size: int | None = None
    checksum: str | None = None
    metadata: str = ""
    concat: str | None = None
    parts: Sequence[str] = ()

    @property
    def is_part(self) -> bool:
        """Whether it is a part of another upload."""
        return self.concat is not None and not self.parts
