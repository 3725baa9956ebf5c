"""The header fields of tus 1.0: what clients send, and what is none of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_filestore.errors import MalformedUploadError
from fastapi_filestore.web.tus_fields import (
    Creation,
    read_checksum,
    read_creation,
    read_metadata,
    read_number,
    text_of,
    write_metadata,
)

KEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=","), min_size=1)


@pytest.mark.parametrize(
    ("headers", "creation"),
    [
        ({"upload-length": "0"}, Creation(0, "", {}, None, ())),
        ({"upload-defer-length": "1"}, Creation(None, "", {}, None, ())),
        (
            {"upload-length": "100", "upload-metadata": "filename d29ybGQ=,is_confidential"},
            Creation(
                100, "filename d29ybGQ=,is_confidential", {"filename": b"world", "is_confidential": b""}, None, ()
            ),
        ),
        ({"upload-length": "5", "upload-concat": "partial"}, Creation(5, "", {}, "partial", ())),
        (
            {"upload-concat": "final;/files/a /files/b"},
            Creation(None, "", {}, "final;/files/a /files/b", ("/files/a", "/files/b")),
        ),
    ],
)
def test_creations(headers: dict[str, str], creation: Creation) -> None:
    """What the specification shows is read as it means it."""
    assert read_creation(headers) == creation


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"upload-length": "-1"},
        {"upload-length": "1e3"},
        {"upload-length": "٣"},
        {"upload-length": "9" * 41},
        {"upload-length": "1", "upload-defer-length": "1"},
        {"upload-defer-length": "2"},
        {"upload-length": "1", "upload-concat": "whole"},
        {"upload-length": "1", "upload-concat": "final;/a"},
        {"upload-concat": "final;"},
        {"upload-length": "1", "upload-metadata": "a YQ==,a YQ=="},
        {"upload-length": "1", "upload-metadata": "a *"},
        {"upload-length": "1", "upload-metadata": ",a"},
    ],
)
def test_what_is_no_creation(headers: dict[str, str]) -> None:
    """What contradicts itself, or can't be read, is refused by the name of its field."""
    with pytest.raises(MalformedUploadError, match="The header Upload-"):
        read_creation(headers)


@given(st.dictionaries(KEYS, st.binary()))
def test_metadata_comes_back(fields: dict[str, bytes]) -> None:
    """What is written as Upload-Metadata is read as the same."""
    assert read_metadata(write_metadata(fields)) == fields


@given(st.text())
def test_any_text(text: str) -> None:
    """No text breaks a reader: it is read, or refused."""
    for read in (read_metadata, read_checksum, lambda number: read_number("Upload-Offset", number)):
        try:
            read(text)
        except MalformedUploadError as error:
            assert "send" in str(error)


def test_names_of_clients() -> None:
    """A filename is found under the name that its client gives it."""
    assert text_of({"name": "größe.txt".encode()}, "filename", "name") == "größe.txt"
    assert text_of({"filename": b"", "name": b"a"}, "filename", "name") == "a"
    assert text_of({}, "filename") is None


def test_checksums() -> None:
    """A digest is one of the algorithms that are told, and as long as it must be."""
    assert read_checksum("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=")[0] == "sha1"
    for text in ("sha1 YQ==", "crc32 YQ==", "sha1", ""):
        with pytest.raises(MalformedUploadError, match="Upload-Checksum"):
            read_checksum(text)
