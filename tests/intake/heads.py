"""First bytes of files of many types, each as the programs that write them begin."""

import bz2
import gzip
import io
import lzma
import random
import struct
import tarfile
import wave
import zipfile
import zlib
from collections.abc import Mapping

OFFICE = "application/vnd.openxmlformats-officedocument"
ODT = "application/vnd.oasis.opendocument.text"


def png() -> bytes:
    """Return a picture of one pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixel = zlib.compress(b"\0\xff\0\0")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixel) + chunk(b"IEND", b"")


def zipped(*names: str, mimetype: str | None = None) -> bytes:
    """Return an archive of files of these names."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        if mimetype is not None:
            archive.writestr(zipfile.ZipInfo("mimetype"), mimetype)
        for name in names:
            archive.writestr(name, f"<{name}/>" * 20)
    return file.getvalue()


def office(folder: str) -> bytes:
    """Return an office document whose parts are in a folder."""
    return zipped("[Content_Types].xml", "_rels/.rels", f"{folder}/document.xml")


def wav() -> bytes:
    """Return a sound."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", "not compressed"))
        sound.writeframes(b"\0\1" * 400)
    return file.getvalue()


def tar() -> bytes:
    """Return an archive as tapes hold it."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"), io.BytesIO())
    return file.getvalue()


def old_tar() -> bytes:
    """Return an archive without the mark that POSIX gave it, which its sum still fits."""
    head = bytearray(tar()[:512])
    head[257:512] = bytes(255)
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + bytes(1024)


def ftyp(brand: bytes, *others: bytes) -> bytes:
    """Return the start of an ISO media file."""
    box = b"ftyp" + brand + b"\0\0\2\0" + b"".join((brand, *others))
    return struct.pack(">I", len(box) + 4) + box + b"\0\0\0\x08free" + b"\0" * 90


def matroska(kind: bytes) -> bytes:
    """Return the start of a film in Matroska's container."""
    header = b"\x42\x86\x81\x01\x42\xf7\x81\x01\x42\xf2\x81\x04\x42\xf3\x81\x08\x42\x82" + bytes([0x80 | len(kind)])
    return b"\x1a\x45\xdf\xa3\x9f" + header + kind + b"\x42\x87\x81\x04\x42\x85\x81\x02" + b"\0" * 90


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 16 + b"\x3e\0\3\0\xfe\xff\x09\0" + b"\0" * 600
EXE = b"MZ\x90\0\3\0\0\0\4\0\0\0\xff\xff\0\0\xb8" + b"\0" * 43 + b"\x80\0\0\0" + b"\0" * 64 + b"PE\0\0"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
HTML = b"<!DOCTYPE html><html><script>alert(1)</script></html>"
NOISE = random.Random(7).randbytes(3000)  # noqa: S311 - the same noise in every run

HEADS: Mapping[str, tuple[bytes, str]] = {
    "png": (png(), "image/png"),
    "jpeg": (b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xdb\0\x43\0" + b"\x08" * 64, "image/jpeg"),
    "gif": (b"GIF89a\1\0\1\0\x80\0\0\xff\0\0\0\0\0\x2c\0\0\0\0\1\0\1\0\0\2\2D\1\0\x3b", "image/gif"),
    "webp": (b"RIFF\x24\0\0\0WEBPVP8L\x17\0\0\0" + b"\x2f\0\0\0\x10" + b"\0" * 18, "image/webp"),
    "bmp": (b"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0" + b"\1\0\0\0" * 8, "image/bmp"),
    "tiff": (b"II\x2a\0\x08\0\0\0" + b"\0" * 60, "image/tiff"),
    "ico": (b"\0\0\1\0\1\0\x10\x10\0\0\1\0\x20\0" + b"\0" * 40, "image/x-icon"),
    "heic": (ftyp(b"heic", b"mif1"), "image/heic"),
    "avif": (ftyp(b"avif", b"mif1"), "image/avif"),
    "pdf": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n", "application/pdf"),
    "pdf of text": (b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\n", "application/pdf"),
    "pdf behind a printer's words": (b"\x1b%-12345X@PJL\r\n%PDF-1.4\n1 0 obj\n<<>>\nendobj\n", "application/pdf"),
    "pdf behind noise": (NOISE[:999] + b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\n", "application/pdf"),
    "pdf of text behind a mark": (b"\xef\xbb\xbf\r\n%PDF-1.4 \r\n1 0 obj\n<<>>\nendobj\n", "application/pdf"),
    "pdf on one line": (b"%PDF-1.4 1 0 obj <<>> endobj", "application/pdf"),
    "pdf that is only begun": (b"%PDF-1.4", "application/pdf"),
    "text about pdf": (b"%PDF is what a PDF begins with.", "text/plain"),
    "text about a version of pdf": (b"%PDF-1.7 is what this 1 0 obj begins with.", "text/plain"),
    "program that writes a pdf": (b'PDF = b"""%PDF-1.4\n1 0 obj\n<<>>\nendobj\n"""', "text/plain"),
    "pdf too far behind": (b"\0" * 1024 + b"\0%PDF-1.4\n1 0 obj\n<<>>\nendobj\n", "application/octet-stream"),
    "pdf without an object": (b"\0\1\2%PDF-1.7", "application/octet-stream"),
    "archive of a pdf": (zipped("%PDF-1.4 1 0 obj"), "application/zip"),
    "rtf": (rb"{\rtf1\ansi hello}", "application/rtf"),
    "zip": (zipped("a.txt", "b/word.xml"), "application/zip"),
    "empty zip": (zipped(), "application/zip"),
    "jar": (zipped("META-INF/MANIFEST.MF"), "application/zip"),
    "docx": (office("word"), f"{OFFICE}.wordprocessingml.document"),
    "xlsx": (office("xl"), f"{OFFICE}.spreadsheetml.sheet"),
    "pptx": (office("ppt"), f"{OFFICE}.presentationml.presentation"),
    "odt": (zipped("content.xml", mimetype=ODT), ODT),
    "epub": (zipped("content.opf", mimetype="application/epub+zip"), "application/epub+zip"),
    "doc": (OLE, "application/x-ole-storage"),
    "mp4": (ftyp(b"isom", b"iso2", b"mp41"), "video/mp4"),
    "mp4 of a brand that nobody lists": (ftyp(b"iso9", b"cmfc"), "video/mp4"),
    "mp4 in segments": (b"\0\0\0\x18stypmsdh\0\0\0\0msdhmsix", "video/mp4"),
    "3gp": (ftyp(b"3gp4", b"isom"), "video/3gpp"),
    "3g2": (ftyp(b"3g2a", b"isom"), "video/3gpp2"),
    "heif of avif": (ftyp(b"mif1", b"avif", b"miaf"), "image/avif"),
    "mov of a camera": (b"\0\0\0\x08wide\0\0\1\0mdat" + b"\0" * 90, "video/quicktime"),
    "webm of a browser": (b"\x1a\x45\xdf\xa3\1\0\0\0\0\0\0\x1f" + matroska(b"webm")[5:], "video/webm"),
    "bigtiff": (b"II+\0\x08\0\0\0" + b"\0" * 60, "image/tiff"),
    "photoshop": (b"8BPS\0\1" + b"\0" * 60, "image/vnd.adobe.photoshop"),
    "dib": (b"\x28\0\0\0" + b"\1\0\0\0" * 2 + b"\1\0\x18\0" + b"\0" * 90, "image/bmp"),
    "cursor": (b"\0\0\2\0\1\0\x20\x20\0\0\1\0\1\0\x20\0\0\0\x16\0\0\0" + b"\0" * 40, "image/x-icon"),
    "targa": (b"\0\0\2\0\0\0\0\0\0\0\0\0\x10\0\x10\0\x18\0" + b"\xff" * 90, "application/octet-stream"),
    "wav of 4 GiB": (b"RF64\xff\xff\xff\xffWAVEds64" + b"\0" * 90, "audio/x-wav"),
    "tar of before posix": (old_tar(), "application/x-tar"),
    "program and its archive": (b"#!/bin/sh\nexit\n" + zipped("a.class"), "application/zip"),
    "mov": (ftyp(b"qt  "), "video/quicktime"),
    "m4a": (ftyp(b"M4A ", b"mp42"), "audio/mp4"),
    "webm": (matroska(b"webm"), "video/webm"),
    "mkv": (matroska(b"matroska"), "video/x-matroska"),
    "avi": (b"RIFF\x24\0\0\0AVI LIST" + b"\0" * 60, "video/x-msvideo"),
    "mp3": (b"ID3\4\0\0\0\0\0\x23TSSE\0\0\0\x0f" + b"\0" * 40 + b"\xff\xfb\x90\x64" + b"\0" * 99, "audio/mpeg"),
    "mp3 without tags": (b"\xff\xfb\x90\x64" + b"\0" * 413, "audio/mpeg"),
    "amr": (b"#!AMR\n\x3c" + b"\x08\xf3" * 30, "audio/amr"),
    "amr without a binary byte": (b"#!AMR\n<abc|def", "audio/amr"),
    "amr of two channels": (b"#!AMR_MC1.0\n\0\0\0\2\x3c" + b"\x08" * 60, "audio/amr"),
    "amr-wb": (b"#!AMR-WB\n\x04" + b"\x11" * 60, "audio/amr-wb"),
    "amr-wb of two channels": (b"#!AMR-WB_MC1.0\n\0\0\0\2" + b"\x11" * 60, "audio/amr-wb"),
    "wav": (wav(), "audio/x-wav"),
    "ogg": (b"OggS\0\2" + b"\0" * 20 + b"\1\x1e\1vorbis" + b"\0" * 60, "audio/ogg"),
    "flac": (b"fLaC\0\0\0\x22" + b"\0" * 90, "audio/x-flac"),
    "gz": (gzip.compress(b"hello"), "application/gzip"),
    "bz2": (bz2.compress(b"hello"), "application/x-bzip2"),
    "xz": (lzma.compress(b"hello"), "application/x-xz"),
    "7z": (b"7z\xbc\xaf\x27\x1c\0\4" + b"\1" * 60, "application/x-7z-compressed"),
    "rar": (b"Rar!\x1a\7\1\0" + b"\1" * 60, "application/x-rar-compressed"),
    "tar": (tar(), "application/x-tar"),
    "woff2": (b"wOF2\0\1\0\0" + b"\0" * 90, "font/woff2"),
    "exe": (EXE, "application/x-msdownload"),
    "elf": (b"\x7fELF\2\1\1\0" + b"\0" * 90, "application/x-executable"),
    "wasm": (b"\0asm\1\0\0\0", "application/wasm"),
    "html": (HTML, "text/html"),
    "html in capitals": (b"\n\t <SCRIPT>alert(1)</SCRIPT>", "text/html"),
    "html behind a comment": (b"<!-- 1 --><p>hello", "text/html"),
    "html behind a mark": (b"\xef\xbb\xbf<html><body>", "text/html"),
    "html in utf-16": ("\ufeff<html><script>alert(1)</script>".encode("utf-16-le"), "text/html"),
    "no html": (b"<bold>no tag of the list", "text/plain"),
    "xhtml": (b'<?xml version="1.0"?><!DOCTYPE html [<!ENTITY a "b">]>\n<html xmlns="x">', "application/xhtml+xml"),
    "svg": (SVG, "image/svg+xml"),
    "svg with a prolog": (b'<?xml version="1.0"?>\n<!-- c --><!DOCTYPE svg>\n<svg:svg xmlns:svg="x">', "image/svg+xml"),
    "svg in utf-16": ("\ufeff<?xml version='1.0'?><svg >".encode("utf-16-be"), "image/svg+xml"),
    "svg behind a comment": (b"<!-- " + b"c" * 9000 + b" --><svg/>", "image/svg+xml"),
    "xml": (b'<?xml version="1.0"?><feed/>', "text/xml"),
    "xml that never begins": (b"<?xml <!-- ", "text/xml"),
    "text": (b"Hello.\nA second line.\n", "text/plain"),
    "latin text": ("Größe\n".encode("latin-1"), "text/plain"),
    "text in utf-16": ("Größe\n".encode("utf-16"), "text/plain"),
    "text that begins as a bitmap": (b"BMW builds cars.", "text/plain"),
    "text that begins as a program": (b"MZ are two letters.", "text/plain"),
    "text that begins as a picture": (b"GIF89a=1;alert(1)", "text/plain"),
    "json": (b'{"a": 1}', "text/plain"),
    "csv": (b"id,name\n1,a\n", "text/plain"),
    "nothing": (b"", "text/plain"),
    "noise": (NOISE, "application/octet-stream"),
    "zeros": (b"\0" * 1000, "application/octet-stream"),
}
"""First bytes and the type that they are of."""
