"""Write base64url without padding (RFC 4648): for tokens and cursors, which stand in URLs."""

from base64 import urlsafe_b64decode, urlsafe_b64encode


def encode_base64url(data: bytes) -> str:
    """Return bytes as text."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def decode_base64url(text: str) -> bytes:
    """Return the bytes of a text; ValueError if it is none."""
    return urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4))
