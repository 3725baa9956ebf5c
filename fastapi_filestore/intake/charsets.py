"""Charsets that forms and their parts are in: by the labels that browsers and libraries write (WHATWG Encoding)."""

from encodings.aliases import aliases
from typing import Final

UTF_8: Final = "utf_8"

_LATIN = "cp1252"
"""What browsers mean by Latin-1 and ASCII, too: the same letters, and a few more."""
_CODECS = frozenset(
    {
        *(f"cp{number}" for number in (866, 874, *range(1250, 1259))),
        *(f"iso8859_{part}" for part in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)),
        *("big5hkscs", "cp932", "cp949", "euc_jp", "gb18030", "koi8_r", "koi8_u", "mac_cyrillic", "mac_roman"),
        *("utf_16", "utf_16_be", "utf_16_le", UTF_8),
    }
)
_WIDER = {
    "ascii": _LATIN,
    "big5": "big5hkscs",
    "euc_kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso8859_1": _LATIN,
    "iso8859_9": "cp1254",
    "iso8859_11": "cp874",
    "latin_1": _LATIN,
    "shift_jis": "cp932",
    "tis_620": "cp874",
}
"""Charsets that are read as one that has all of theirs and more."""
_LABELS = {
    label: _WIDER.get(codec, codec)
    for label, codec in (*aliases.items(), *((name, name) for name in (*_CODECS, *_WIDER)))
    if _WIDER.get(codec, codec) in _CODECS
}
"""A table, since Python's own look-up imports modules by what it is asked for, and remembers each."""
_NO_ASCII = frozenset({"utf_16", "utf_16_be", "utf_16_le"})


def codec_of(label: str) -> str | None:
    """Return Python's codec of a charset; None for what no form is in."""
    return _LABELS.get(label.strip(" \t'").lower().replace("-", "_").replace(" ", "_"))


def codec_of_form(label: str) -> str | None:
    """Return the codec of a charset that a whole form can be in: its ASCII is ASCII."""
    codec = codec_of(label)
    return None if codec in _NO_ASCII else codec


def as_text(value: bytes, codec: str = UTF_8) -> str:
    """Decode what a client wrote; bytes that are not in its charset are taken for Latin-1, where all have a meaning."""
    try:
        return value.decode(codec)
    except UnicodeDecodeError:
        return value.decode("latin-1")
