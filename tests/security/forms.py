"""Forms for fuzzing: parts, how clients write them, and how two parsers read them."""

from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from hypothesis import strategies as st
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartParser

from fastapi_filestore.errors import FilestoreError
from fastapi_filestore.intake.forms.limits import FormLimits
from fastapi_filestore.intake.forms.multipart import FormReader

LIMITS = FormLimits(file_size=2000, fields=5, field_size=500, files=5)
T = TypeVar("T")
Read = tuple[dict[str, str], list[tuple[str, str, str | None, bytes]]]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a form as it is meant; `head` is how its client writes the header's parts."""

    name: str
    filename: str | None
    content_type: str | None
    content: bytes
    head: str

    def encoded(self) -> bytes:
        """Return the part, without the boundaries around it."""
        filename = "" if self.filename is None else f'; filename="{self.filename}"'
        kind = "" if self.content_type is None else f"Content-Type: {self.content_type}\r\n"
        return f'{self.head}; name="{self.name}"{filename}\r\n{kind}\r\n'.encode() + self.content


@dataclass(frozen=True, slots=True)
class Form:
    """A form with its boundary."""

    boundary: str
    parts: Sequence[Part]

    @property
    def content_type(self) -> str:
        """The header of the request."""
        return f'multipart/form-data; boundary="{self.boundary}"'

    def encoded(self) -> bytes:
        """Return the body."""
        line = f"--{self.boundary}".encode()
        return b"".join(line + b"\r\n" + part.encoded() + b"\r\n" for part in self.parts) + line + b"--\r\n"

    def meant(self) -> Read:
        """Return what there is to read."""
        fields = {part.name: part.content.decode() for part in self.parts if part.filename is None}
        files = [
            (part.name, part.filename, part.content_type, part.content)
            for part in self.parts
            if part.filename is not None
        ]
        return fields, files


# Without what browsers escape: escapes are read differently by each parser, and have a table of their own.
NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters='"\\%'), min_size=1, max_size=30)
HEADS = st.sampled_from(
    ["Content-Disposition: form-data", "content-disposition:form-data", "X-A: b\r\nCONTENT-DISPOSITION:  form-data"]
)
TYPES = st.sampled_from(["text/plain", "image/png", "text/plain; charset=utf-8", "application/x-a+b"])
BOUNDARY_CHARACTERS = "0123456789abcXYZ'()+_,-./:=?"
NEAR_MISSES = [b"\r\n", b"\r", b"\n", b"--", b"\r\n-", b"\r\n--", b"\0", b"\xff", b"x"]


@st.composite
def forms(draw: st.DrawFn) -> Form:
    """Draw a valid form within the limits, its contents full of what is almost a boundary."""
    boundary = draw(st.text(BOUNDARY_CHARACTERS, min_size=1, max_size=70))
    tokens = [*NEAR_MISSES, boundary.encode()[:-1], f"\r\n--{boundary}"[:-1].encode()]
    noise = st.lists(st.one_of(st.binary(max_size=20), st.sampled_from(tokens)), max_size=12).map(b"".join)
    content = noise.filter(lambda each: f"\r\n--{boundary}".encode() not in b"\r\n" + each)
    file = st.builds(Part, NAMES, NAMES, st.none() | TYPES, content, HEADS)
    text = st.builds(Part, NAMES, st.none(), st.none(), st.text(max_size=40).map(str.encode), HEADS)
    text = text.filter(lambda part: f"\r\n--{boundary}".encode() not in b"\r\n" + part.content)
    fields = draw(st.lists(text, max_size=5, unique_by=lambda part: part.name))
    return Form(boundary, draw(st.permutations([*fields, *draw(st.lists(file, max_size=5))])))


@st.composite
def mutants(draw: st.DrawFn) -> tuple[str, bytes]:
    """Draw the content type and the body of a form that was cut, doubled and sprinkled with what parsers look for."""
    form = draw(forms())
    body = form.encoded()
    tokens = [*NEAR_MISSES, f"--{form.boundary}".encode(), f"\r\n--{form.boundary}--".encode(), b'"', b";", b":", b"="]
    tokens += [b"; filename*=UTF-8''x", b'; filename=""', b"Content-Transfer-Encoding: base64\r\n", b"\\", b"%22", b"*"]
    for _ in range(draw(st.integers(1, 4))):
        start, end = sorted(draw(st.tuples(st.integers(0, len(body)), st.integers(0, len(body)))))
        inserted = draw(st.one_of(st.sampled_from(tokens), st.binary(max_size=8), st.just(body[start:end])))
        keep = draw(st.booleans())
        body = body[:start] + inserted + body[start if keep else min(end, start + 8) :]
    return form.content_type, body


def finished(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine comes to that never has to wait, since its body is there."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    raise AssertionError("a parser waits for nothing but its body")


async def pieces(body: bytes, cuts: Sequence[int]) -> AsyncIterator[bytes]:
    """Yield a body in pieces of these sizes, over and over."""
    at = turn = 0
    while at < len(body):
        size = cuts[turn % len(cuts)]
        yield body[at : at + size]
        at, turn = at + size, turn + 1


async def read(content_type: str, body: bytes, cuts: Sequence[int]) -> Read:
    """Read a form with our parser."""
    reader = FormReader(pieces(body, cuts), content_type=content_type, limits=LIMITS)
    files = []
    while head := await reader.next_file():
        content = b"".join([chunk async for chunk in reader.file_chunks()])
        files.append((head.name, head.filename or "", head.content_type, content))
    return dict(reader.fields), files


def outcome(content_type: str, body: bytes, cuts: Sequence[int]) -> Read | type[FilestoreError]:
    """Return what a form is read as, or the error that it is refused with; any other error is the parser's fault."""
    try:
        return finished(read(content_type, body, cuts))
    except FilestoreError as error:
        return type(error)


async def read_by_starlette(content_type: str, body: bytes, cuts: Sequence[int]) -> Read:
    """Read a form with Starlette's parser."""
    parser = MultiPartParser(Headers({"content-type": content_type}), pieces(body, cuts))  # type: ignore[arg-type]
    fields: dict[str, str] = {}
    files: list[tuple[str, str, str | None, bytes]] = []
    form = await parser.parse()
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            files.append((name, value.filename or "", value.content_type, value.file.read()))
            value.file.close()
        else:
            fields[name] = value
    return fields, files
