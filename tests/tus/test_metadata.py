"""Creation: what clients say of their uploads."""

import pytest

from tests.tus.client import Tus, encoded, is_refused

pytestmark = pytest.mark.needs("creation")


@pytest.mark.spec("Creation, POST", "Answers to HEAD have Upload-Metadata, as the client said it.")
@pytest.mark.parametrize(
    "value",
    [
        f"filename {encoded('world_domination_plan.pdf')}",
        f"filename {encoded('plan.pdf')},is_confidential",
        f"is_confidential,filename {encoded('plan.pdf')}",
        "is_confidential",
        f"zeta {encoded('1')},alpha {encoded('2')}",
        f"filename {encoded('čaj ☕ 茶.txt')}",
        f"name {encoded('a')},Name {encoded('b')}",
        f"a.b-c_d!#$&'*+^`|~/:;=@[]{{}}<>?() {encoded('any key')}",
        f"padded {encoded('a')},padded2 {encoded('ab')},padded3 {encoded('abc')}",
        f"number-1 {encoded('1')}",
        f"long {encoded('x' * 2000)}",
        ",".join(f"key{number} {encoded(str(number))}" for number in range(50)),
        f"__proto__ {encoded('a')},constructor {encoded('b')}",
        f"line {encoded(chr(10).join(('a', 'b: c')))}",
    ],
    ids=lambda value: value[:30].replace("[", "("),
)
def test_metadata_are_told_as_they_came(tus: Tus, value: str) -> None:
    """What a client says of its upload is told again, character by character."""
    url = tus.begin(4, Upload_Metadata=value)

    assert tus.head(url).headers["Upload-Metadata"] == value


@pytest.mark.spec("Upload-Metadata", "Values are base64, of any bytes.")
@pytest.mark.parametrize(
    "data", [b"\xff\xfe\x00\x80", bytes(range(256)), b"a\r\nSet-Cookie: a=b"], ids=["no text", "all", "a header"]
)
def test_values_are_any_bytes(tus: Tus, data: bytes) -> None:
    """A value need not be text, and never becomes a header field of its own."""
    value = f"bytes {encoded(data)}"

    answer = tus.head(tus.begin(4, Upload_Metadata=value))

    assert answer.headers["Upload-Metadata"] == value
    assert "Set-Cookie" not in answer.headers


@pytest.mark.spec("Upload-Metadata", "A value may be empty; the space before it may be left out then.")
@pytest.mark.parametrize("value", ["empty ,filename YQ==", "filename YQ==,empty ", "empty,filename YQ=="])
def test_a_value_may_be_empty(tus: Tus, value: str) -> None:
    """A key without a value is taken, with its space or without, and told again with all others."""
    answer = tus.head(tus.place(tus.raw("POST", tus.url, [("Upload-Length", "4"), ("Upload-Metadata", value)])))

    pairs = {pair.strip() for pair in answer.headers["Upload-Metadata"].split(",")}
    assert pairs == {"empty", "filename YQ=="}


@pytest.mark.spec("Upload-Metadata", "Keys are unique, without space and comma, not empty; values are base64.")
@pytest.mark.parametrize(
    "value",
    [
        "filename YQ==,filename Yg==",
        "filename YQ==,filename YQ==",
        "filename,filename",
        "filename YQ=",
        "filename YQ",
        "filename Y",
        "filename Y===",
        "filename a b",
        "filename YQ== YQ==",
        "filename YQ=*",
        "filename -_-_",
        "filename plan.pdf",
        "filename Y=Q=",
        "a YQ==,,b YQ==",
        "a YQ==,",
        ",a YQ==",
        ",",
    ],
)
def test_metadata_that_can_not_be_read_are_refused(tus: Tus, value: str) -> None:
    """An upload is not begun with metadata that mean nothing, or two things."""
    answer = tus.raw("POST", tus.url, [("Upload-Length", "4"), ("Upload-Metadata", value)])

    assert is_refused(answer)
    assert "Location" not in answer.headers


@pytest.mark.spec("Upload-Metadata", "Keys should be ASCII.")
@pytest.mark.parametrize("key", ["naïve".encode(), "naïve".encode("latin-1")], ids=["UTF-8", "Latin-1"])
def test_keys_of_other_characters_are_refused_or_kept(tus: Tus, key: bytes) -> None:
    """A key that is not ASCII is refused, or told again byte by byte: it is no error of the server."""
    answer = tus.raw("POST", tus.url, [("Upload-Length", "4"), ("Upload-Metadata", key + b" YQ==")])

    if not is_refused(answer):
        told = tus.raw("HEAD", tus.place(answer), []).headers["Upload-Metadata"]
        assert told.encode("latin-1") == key + b" YQ=="


@pytest.mark.spec("Upload-Metadata", "It is one or more pairs, separated by commas, as every list of HTTP.")
def test_metadata_on_two_lines_are_all_kept_or_refused(tus: Tus) -> None:
    """A field that is sent twice is one list, or refused: no half of it is lost."""
    fields = [("Upload-Length", "4"), ("Upload-Metadata", "a YQ=="), ("Upload-Metadata", "b Yg==")]
    answer = tus.raw("POST", tus.url, fields)

    if not is_refused(answer):
        told = tus.head(tus.place(answer)).headers["Upload-Metadata"]
        assert told.replace(", ", ",") == "a YQ==,b Yg=="


@pytest.mark.spec("Upload-Metadata", "It is one or more pairs.")
def test_no_metadata_are_none_or_refused(tus: Tus) -> None:
    """A field without a pair says nothing, or is refused."""
    answer = tus.raw("POST", tus.url, [("Upload-Length", "4"), ("Upload-Metadata", "")])

    assert is_refused(answer) or not tus.head(tus.place(answer)).headers.get("Upload-Metadata")


@pytest.mark.spec("Creation, POST", "Answers to HEAD have Upload-Metadata if there are some.")
def test_an_upload_without_metadata_tells_none(tus: Tus) -> None:
    """No metadata are told of an upload that came with none."""
    assert "Upload-Metadata" not in tus.head(tus.begin(4)).headers


@pytest.mark.spec("Creation, POST", "Answers to HEAD have Upload-Metadata, as the client said it.")
def test_metadata_stay_when_bytes_come(tus: Tus) -> None:
    """What was said of an upload is told while bytes come, and when it is complete."""
    url = tus.begin(4, Upload_Metadata="filename YQ==")

    for offset in (0, 2):
        tus.patch(url, offset, b"01")
        assert tus.head(url).headers["Upload-Metadata"] == "filename YQ=="
