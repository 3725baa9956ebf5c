"""The application's own signed URLs: nothing but what was signed is accepted, and every refusal is the same."""

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from fastapi_filestore import ConfigurationError, InvalidSignatureError
from fastapi_filestore.storage.signing import Method, SignedClaims, UrlSigner
from fastapi_filestore.testing import FrozenClock

BASE = "https://example.com/filestore/"
KEY, OTHER_KEY = "0123456789abcdef" * 2, "fedcba9876543210" * 2
BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def make(clock: FrozenClock | None = None, keys: tuple[str, ...] = (KEY,)) -> UrlSigner:
    """A signer whose clock stands still."""
    return UrlSigner(keys, base_url=BASE, clock=clock or FrozenClock())


def token_of(signer: UrlSigner, *, method: Method = "GET", path: str = "ab/abcdef", expires_in: int = 60) -> str:
    """The token of a signed URL."""
    signed = signer.sign("local", path, method=method, expires_in=expires_in, content_type="a/b", filename="ü.txt")
    return signed.url.removeprefix(BASE)


def is_refused(signer: UrlSigner, token: str, *, method: Method = "GET") -> bool:
    """Whether a token is refused, in the one way there is."""
    try:
        signer.verify(token, method=method)
    except InvalidSignatureError as error:
        return str(error) == str(InvalidSignatureError())
    return False


@given(
    path=st.text(min_size=1),
    content_type=st.none() | st.text(),
    filename=st.none() | st.text(),
    max_size=st.none() | st.integers(min_value=0),
    method=st.sampled_from(["GET", "PUT"]),
)
def test_what_is_signed_is_verified(
    path: str, content_type: str | None, filename: str | None, max_size: int | None, method: Method
) -> None:
    """Every claim comes back as it was signed, whatever text it is."""
    clock = FrozenClock()
    signer = make(clock)
    said: dict[str, Any] = {"content_type": content_type, "filename": filename, "max_size": max_size}
    signed = signer.sign("local", path, method=method, expires_in=60, **said)
    claims = signer.verify(signed.url.removeprefix(BASE), method=method)

    assert claims == SignedClaims("local", path, int(clock.now) + 60, **said)


def test_what_signing_returns() -> None:
    """A signed URL says when it expires and what the client must send."""
    clock = FrozenClock()
    signed = make(clock).sign("local", "a", method="PUT", expires_in=60, content_type="text/plain")

    assert signed.url.startswith(BASE)
    assert signed.expires_at == datetime.fromtimestamp(clock.now, UTC) + timedelta(seconds=60)
    assert (signed.method, signed.headers) == ("PUT", {"Content-Type": "text/plain"})


@given(st.data())
def test_any_other_character_is_refused(data: st.DataObject) -> None:
    """A token with one character changed, left out or added is refused."""
    signer = make()
    token = token_of(signer)
    at = data.draw(st.integers(0, len(token) - 1))
    character = data.draw(st.sampled_from(BASE64 + ".=%é"))
    assume(character != token[at])

    assert is_refused(signer, token[:at] + character + token[at + 1 :])
    assert is_refused(signer, token[:at] + token[at + 1 :])
    assert is_refused(signer, token[:at] + character + token[at:])


@given(st.data())
def test_any_other_byte_is_refused(data: st.DataObject) -> None:
    """A token whose claims or signature differ by one bit is refused, even if it is well-formed base64."""
    signer = make()
    parts = [bytearray(_decode(part)) for part in token_of(signer).split(".")]
    part = data.draw(st.sampled_from(parts))
    part[data.draw(st.integers(0, len(part) - 1))] ^= 1 << data.draw(st.integers(0, 7))

    assert is_refused(signer, ".".join(_encode(bytes(each)) for each in parts))


def _decode(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _encode(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


@given(st.text() | st.text(BASE64 + ".=") | st.binary().map(_encode))
@example("")
@example(".")
@example("a.b.c")
@example("a" * 100_000)
@example("\ud800.\ud800")
@example("é.é")
@example("e30.e30")
def test_anything_else_is_refused(token: str) -> None:
    """Whatever a client sends as a token is refused in the same way, and never breaks anything."""
    assert is_refused(make(), token)


@pytest.mark.parametrize("length", [0, 1, 16, 31, 33, 64])
def test_signatures_of_a_wrong_length(length: int) -> None:
    """A signature that is cut off or too long is refused."""
    signer = make()
    payload, _, mac = token_of(signer).partition(".")

    assert is_refused(signer, f"{payload}.{_encode((_decode(mac) * 2)[:length])}")


def test_other_spellings_of_the_same_bytes() -> None:
    """Base64 that decodes to the same bytes but is not how we write it is refused."""
    signer = make()
    token = token_of(signer)
    payload, _, mac = token.partition(".")
    last = BASE64[BASE64.index(mac[-1]) ^ 1]  # two of its bits carry nothing

    assert _decode(mac[:-1] + last) == _decode(mac)
    for spelling in (
        f"{payload}.{mac[:-1]}{last}",
        f"{token}=",
        f"{token}\n",
        f" {token}",
        f"{payload}.{mac[:9]}!{mac[9:]}",
    ):
        assert is_refused(signer, spelling)


@pytest.mark.parametrize(("made_for", "used_for"), [("GET", "PUT"), ("PUT", "GET")])
def test_purposes_are_separate(made_for: Method, used_for: Method) -> None:
    """A token that reads can't write, and the other way round."""
    signer = make()
    token = token_of(signer, method=made_for)

    assert is_refused(signer, token, method=used_for)
    assert not is_refused(signer, token, method=made_for)


def test_parts_of_two_tokens() -> None:
    """The signature of one token does not fit the claims of another."""
    signer = make()
    one, other = token_of(signer, path="a").split("."), token_of(signer, path="b").split(".")

    assert is_refused(signer, f"{one[0]}.{other[1]}")


@pytest.mark.parametrize(("seconds", "refused"), [(0, False), (59, False), (60, True), (61, True), (10**9, True)])
def test_expiry(seconds: float, refused: bool) -> None:
    """A token is good until its last second is over."""
    clock = FrozenClock()
    signer = make(clock)
    token = token_of(signer, expires_in=60)
    clock.advance(seconds)

    assert is_refused(signer, token) is refused


def test_rotation() -> None:
    """The first key signs and every key verifies; a token of a key that is gone is refused."""
    old, both, new = make(keys=(KEY,)), make(keys=(OTHER_KEY, KEY)), make(keys=(OTHER_KEY,))

    assert not is_refused(both, token_of(old))
    assert not is_refused(new, token_of(both))
    assert is_refused(new, token_of(old))
    assert is_refused(old, token_of(both))


@pytest.mark.parametrize(
    "keys",
    [
        (),
        ("short",),
        (KEY, "short"),
        ("",),
        KEY,
        ("k" * 64,),
        ("123456789" * 9,),
        ("change-me-to-your-own-32-characters",),
    ],
)
def test_refused_keys(keys: Any) -> None:
    """No key and keys that could be guessed are refused, with a way to make a good one, and without showing them."""
    with pytest.raises(ConfigurationError, match="token_urlsafe") as caught:
        UrlSigner(keys, base_url=BASE)

    assert "short" not in str(caught.value)


SAID = {"backend": "local", "path": "a", "expires": 2**40}


@pytest.mark.parametrize(
    "payload",
    [
        json.dumps({**SAID, "scope": "all"}),
        json.dumps({**SAID, "expires": "never"}),
        json.dumps({**SAID, "expires": True}),
        json.dumps({**SAID, "expires": 1e12}),
        json.dumps({**SAID, "path": ["a"]}),
        json.dumps({**SAID, "backend": None}),
        json.dumps({**SAID, "filename": 1}),
        json.dumps({**SAID, "max_size": "all"}),
        json.dumps({"backend": "local", "path": "a"}),
        json.dumps([SAID]),
        "1",
        "",
        "not JSON",
        "[" * 100_000,
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_claims_of_others(payload: str, method: Method) -> None:
    """A good signature of claims that this version does not know, or of wrong types, is refused like a bad one."""
    signer = make()
    mac = _mac(KEY, method, payload.encode())

    assert is_refused(signer, f"{_encode(payload.encode())}.{_encode(mac)}", method=method)


def test_the_claims_beside_them_are_known() -> None:
    """What the test above signs is a good signature: of right claims it is verified."""
    payload = json.dumps(SAID).encode()

    assert make().verify(f"{_encode(payload)}.{_encode(_mac(KEY, 'GET', payload))}", method="GET").path == "a"


def _mac(key: str, method: str, payload: bytes) -> bytes:
    purpose = hmac.digest(key.encode(), b"fastapi-filestore signed url 2 " + method.encode(), "sha256")
    return hmac.digest(purpose, payload, "sha256")


def test_keys_are_not_shown() -> None:
    """A signer's representation holds no key."""
    assert KEY not in repr(make())


def test_claims_are_not_secret_but_few() -> None:
    """A token says what it allows and nothing more."""
    payload = _decode(token_of(make()).partition(".")[0])

    assert json.loads(payload).keys() == {"backend", "path", "expires", "content_type", "filename"}
