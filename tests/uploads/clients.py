"""Forms as clients really send them: client by client, the bytes as sent and what they mean."""

from dataclasses import dataclass, field

GROESSE = "größe.txt"
UTF_8 = GROESSE.encode()
TYPE = b"Content-Type: text/plain\r\n"


@dataclass(frozen=True, slots=True)
class Sent:
    """The heads of a form's parts, a text and a file, as a client writes them, and what it means by them."""

    file: bytes
    filename: str = GROESSE
    text: bytes = b'Content-Disposition: form-data; name="title"'
    value: bytes = "Maß".encode()
    title: str = "Maß"
    content_type: str = "multipart/form-data; boundary=X"
    boundary: bytes = b"X"
    before: bytes = b""
    after: bytes = b"\r\n"
    declared: str | None = "text/plain"
    fields: dict[str, str] = field(default_factory=dict)

    def body(self) -> bytes:
        """Return the bytes."""
        line = b"--" + self.boundary
        text = line + b"\r\n" + self.text + b"\r\n\r\n" + self.value + b"\r\n"
        return self.before + text + line + b"\r\n" + self.file + b"\r\n\r\nhello\r\n" + line + b"--" + self.after


def disposition(rest: bytes, after: bytes = b"\r\nContent-Type: text/plain") -> bytes:
    """Write the head of a file's part."""
    return b'Content-Disposition: form-data; name="file"; ' + rest + after


CLIENTS: dict[str, Sent] = {
    "Chrome, Safari and Edge": Sent(
        disposition(b'filename="' + UTF_8 + b'"'),
        content_type="multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW",
        boundary=b"----WebKitFormBoundary7MA4YWxkTrZu0gW",
    ),
    "Firefox, with quotes, a line break and a percent sign": Sent(
        disposition(b'filename="5%%22%0D%0A%41.txt"'),
        '5%"\r\n%41.txt',
        content_type="multipart/form-data; boundary=---------------------------250220064916703015541512867370",
        boundary=b"---------------------------250220064916703015541512867370",
    ),
    "a browser, a name with an escape of its own": Sent(disposition(b'filename="a%20b.txt"'), "a%20b.txt"),
    "a browser, a page in windows-1252": Sent(
        disposition(b'filename="gr\xf6\xdfe\x80.txt"'),
        "größe€.txt",
        value=b"windows-1252",
        text=b'Content-Disposition: form-data; name="_charset_"\r\n\r\nwindows-1252\r\n--X\r\n'
        b'Content-Disposition: form-data; name="title"',
        title="windows-1252",
    ),
    "a browser, a page in Shift_JIS": Sent(
        disposition(b'filename="' + "表.txt".encode("shift_jis") + b'"'),
        "表.txt",
        text=b'Content-Disposition: form-data; name="_charset_"\r\n\r\nShift_JIS\r\n--X\r\n'
        b'Content-Disposition: form-data; name="title"',
        value="能".encode("shift_jis"),
        title="能",
    ),
    "Internet Explorer": Sent(disposition(rb'filename="C:\temp\a.txt"'), r"C:\temp\a.txt"),
    "Android's HttpURLConnection, as a thousand samples have it": Sent(
        b'Content-Disposition: form-data; name="file";filename="/sdcard/a.jpg"',
        "/sdcard/a.jpg",
        content_type="multipart/form-data;boundary=*****",
        boundary=b"*****",
        declared=None,
    ),
    "Android's HttpURLConnection, with the time": Sent(
        disposition(b'filename="a.jpg"', b"\r\nContent-Type: image/jpeg\r\nContent-Transfer-Encoding: binary"),
        "a.jpg",
        content_type="multipart/form-data; boundary=*****1421045301108*****",
        boundary=b"*****1421045301108*****",
        declared="image/jpeg",
    ),
    "OkHttp": Sent(
        disposition(b'filename="' + UTF_8 + b'"', b"\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 5"),
        text=b'Content-Disposition: form-data; name="title"\r\nContent-Length: 4',
        content_type="multipart/form-data; boundary=6a1c0a0e-2b1e-4f0e-8f9c-2a0b6c1d2e3f",
        boundary=b"6a1c0a0e-2b1e-4f0e-8f9c-2a0b6c1d2e3f",
        declared="text/plain; charset=utf-8",
    ),
    'Retrofit, `@Part("file\\"; filename=\\"a.png\\" ")`': Sent(
        disposition(b'filename="a.png" "', b"\r\nContent-Transfer-Encoding: binary\r\nContent-Type: image/png"),
        "a.png",
        declared="image/png",
    ),
    "Retrofit, with an encoding of its own": Sent(
        disposition(b'filename="a.png"', b"\r\nContent-Transfer-Encoding: 8-bit"), "a.png", declared=None
    ),
    "React Native": Sent(
        b'content-disposition: form-data; name="file"; filename="it\'s gr\xc3\xb6\xc3\x9fe.jpg"; '
        b"filename*=utf-8''it's%20gr%C3%B6%C3%9Fe.jpg\r\ncontent-type: image/jpeg",
        "it's größe.jpg",
        declared="image/jpeg",
    ),
    "an extended name that is none": Sent(disposition(b'filename="' + UTF_8 + b"\"; filename*=utf-8''gr%F6%DFe.txt")),
    "Alamofire": Sent(
        disposition(b'filename="' + UTF_8 + b'"'),
        content_type="multipart/form-data; boundary=alamofire.boundary.3ee6e8f0a5bb2a76",
        boundary=b"alamofire.boundary.3ee6e8f0a5bb2a76",
    ),
    "Dart, and Flutter": Sent(
        b'content-type: text/plain\r\ncontent-disposition: form-data; name="file"; filename="' + UTF_8 + b'"',
        text=b'content-disposition: form-data; name="title"\r\ncontent-type: text/plain; charset=utf-8\r\n'
        b"content-transfer-encoding: binary",
        content_type="multipart/form-data; boundary=dart-http-boundary-vR+2YjmHv_D5J,s'(",
        boundary=b"dart-http-boundary-vR+2YjmHv_D5J,s'(",
    ),
    ".NET": Sent(
        TYPE + b'Content-Disposition: form-data; name=file; filename="=?utf-8?B?Z3LDtsOfZS50eHQ=?="; '
        b"filename*=utf-8''gr%C3%B6%C3%9Fe.txt",
        text=b"Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name=title",
        content_type='multipart/form-data; boundary="4a424cac-7519-4ce0-b0b8-cb117505a4c3"',
        boundary=b"4a424cac-7519-4ce0-b0b8-cb117505a4c3",
    ),
    ".NET, a plain name": Sent(
        TYPE + b"Content-Disposition: form-data; name=file; filename=a%20b.txt; filename*=utf-8''a%2520b.txt",
        "a%20b.txt",
    ),
    ".NET, a name of a field beyond ASCII, text in UTF-16": Sent(
        b'Content-Disposition: form-data; name="=?utf-8?B?ZsO8cg==?="\r\n\r\nx\r\n--X\r\n'
        b"Content-Disposition: form-data; name=file; filename=a.txt; filename*=utf-8''a.txt",
        "a.txt",
        text=b"Content-Type: text/plain; charset=utf-16\r\nContent-Disposition: form-data; name=title",
        value="Maß".encode("utf-16"),
        declared=None,
        fields={"für": "x"},
    ),
    "PowerShell": Sent(
        b'Content-Disposition: form-data; name=file; filename="=?utf-8?B?Z3LDtsOfZS50eHQ=?="\r\n' + TYPE[:-2],
        text=b"Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name=title",
    ),
    "Apache HttpClient, STRICT": Sent(
        disposition(b'filename="gr??e.txt"', b"\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: binary"),
        "gr??e.txt",
        text=b'Content-Disposition: form-data; name="title"\r\nContent-Type: text/plain; charset=ISO-8859-1\r\n'
        b"Content-Transfer-Encoding: 8bit",
        value=b"Ma\xdf \xc3\xa4",
        title="Maß Ã¤",
    ),
    "Apache HttpClient, STRICT, since 5.5": Sent(
        disposition(b'filename="gr??e.txt"; filename*="UTF-8\'\'gr%C3%B6%C3%9Fe.txt"')
    ),
    "Apache HttpClient, BROWSER_COMPATIBLE": Sent(disposition(b'filename="gr\xf6\xdfe.txt"')),
    "Apache HttpClient, EXTENDED": Sent(disposition(b'filename="gr%C3%B6%C3%9Fe%20(1).txt"'), "größe (1).txt"),
    "Apache HttpClient, EXTENDED, since 5.5": Sent(
        disposition(b'filename="gr%C3%B6%C3%9Fe.txt"; filename*="UTF-8\'\'gr%C3%B6%C3%9Fe.txt"')
    ),
    "Spring 4, a multipart charset": Sent(disposition(b'filename="=?UTF-8?Q?gr=C3=B6=C3=9Fe.txt?="')),
    "Spring 6": Sent(
        disposition(b"filename=\"=?UTF-8?Q?gr=C3=B6=C3=9Fe_1.txt?=\"; filename*=UTF-8''gr%C3%B6%C3%9Fe%201.txt"),
        "größe 1.txt",
        text=b'Content-Disposition: form-data; name="title"\r\nContent-Type: text/plain;charset=UTF-8\r\n'
        b"Content-Length: 4",
        content_type="multipart/form-data;charset=UTF-8;boundary=q3Hv-6yq8mBz7Ykk",
        boundary=b"q3Hv-6yq8mBz7Ykk",
    ),
    "Jakarta Mail, a long name in several words": Sent(
        disposition(b'filename="=?UTF-8?B?Z3LD?= =?UTF-8?B?tsOfZS50eHQ=?="')
    ),
    "Jetty": Sent(disposition(b"filename=\"gr__e.txt\"; filename*=UTF-8''gr%C3%B6%C3%9Fe.txt")),
    "Jersey": Sent(
        TYPE + b'Content-Disposition: form-data; filename="a.txt"; modification-date="Fri, 27 Nov 2026 19:51:05 GMT"; '
        b'size=5; name="file"',
        "a.txt",
        text=b'Content-Type: text/plain\r\nContent-Disposition: form-data; name="title"',
        content_type="multipart/form-data;boundary=Boundary_1_1421045301_1421045301108",
        boundary=b"Boundary_1_1421045301_1421045301108",
    ),
    "requests, and httpx": Sent(
        disposition(b'filename="' + UTF_8 + b'"'),
        content_type="multipart/form-data; boundary=0e0f3bb9d3ab4a1a9e6a0f0b3a9b1c1d",
        boundary=b"0e0f3bb9d3ab4a1a9e6a0f0b3a9b1c1d",
    ),
    "requests, with an urllib3 before 1.25": Sent(disposition(b"filename*=utf-8''gr%C3%B6%C3%9Fe.txt")),
    "aiohttp": Sent(
        TYPE + b'Content-Disposition: form-data; name="file"; filename="a%20%281%29.txt"',
        "a (1).txt",
        text=b'Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name="title"',
    ),
    "aiohttp, beyond ASCII": Sent(
        TYPE + b'Content-Disposition: form-data; name="file"; filename="gr%C3%B6%C3%9Fe.txt"',
        text=b"Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name*=utf-8''ma%C3%9F",
        title="",
        value=b"1",
        fields={"maß": "1"},
    ),
    "Node's form-data, which escapes nothing": Sent(disposition(b'filename="the "best" of.txt"'), 'the "best" of.txt'),
    "Node's fetch, before 23": Sent(
        disposition(b'filename="a%22b.txt"'),
        'a"b.txt',
        content_type="multipart/form-data; boundary=----formdata-undici-069428431567",
        boundary=b"----formdata-undici-069428431567",
        after=b"",
    ),
    "Bun, with a charset behind a space": Sent(
        disposition(b'filename="a.txt"'), "a.txt", content_type="multipart/form-data; boundary=X ; charset=utf-8"
    ),
    "curl before 7.81": Sent(disposition(rb'filename="a\"b\\c.txt"'), r'a"b\c.txt'),
    "curl": Sent(
        disposition(b'filename="a%22b.txt"'),
        'a"b.txt',
        content_type="multipart/form-data; boundary=------------------------d74496d66958873e",
        boundary=b"------------------------d74496d66958873e",
    ),
    "Guzzle": Sent(
        disposition(b'filename="' + UTF_8 + b'"', b"\r\nContent-Length: 5\r\nContent-Type: text/plain"),
        text=b'Content-Disposition: form-data; name="title"\r\nContent-Length: 4',
        content_type="multipart/form-data; boundary=b9a1f4c8e2d7",
        boundary=b"b9a1f4c8e2d7",
    ),
    "Symfony": Sent(
        TYPE + b'Content-Transfer-Encoding: 8bit\r\nContent-Disposition: form-data; name="file"; '
        b'filename="' + UTF_8 + b'"',
        text=b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
        b'Content-Disposition: form-data; name="title"',
        content_type="multipart/form-data; boundary=_=_symfony_1700000000_0123456789abcdef_=_",
        boundary=b"_=_symfony_1700000000_0123456789abcdef_=_",
    ),
    "reqwest": Sent(
        disposition(rb'filename="a\"b.txt"'),
        'a"b.txt',
        text=b"Content-Disposition: form-data; name*=utf-8''the%20title",
        fields={"the title": "Maß"},
        title="",
    ),
    "Ktor": Sent(
        b'Content-Disposition: form-data; name=file; filename="a b.txt"\r\nContent-Type: text/plain',
        "a b.txt",
        text=b"Content-Disposition: form-data; name=title\r\nContent-Length: 4",
    ),
    "Qt": Sent(
        disposition(b'filename="' + UTF_8 + b'"'),
        content_type='multipart/form-data; boundary="boundary_.oOo._MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=+/MTIzNDU2Nzg5MDE="',
        boundary=b"boundary_.oOo._MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=+/MTIzNDU2Nzg5MDE=",
    ),
    "Go": Sent(disposition(rb'filename="a\\b\"c.txt"'), r'a\b"c.txt'),
    "Delphi's Indy": Sent(
        disposition(
            b'filename="=?UTF-8?B?Z3LDtsOfZS50eHQ=?="',
            b"\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: binary",
        ),
        text=b'Content-Disposition: form-data; name="title"\r\nContent-Type: text/plain; charset=utf-8\r\n'
        b"Content-Transfer-Encoding: quoted-printable",
        value=b"Ma=C3=9F",
        content_type="multipart/form-data; boundary=--------112615144853017",
        boundary=b"--------112615144853017",
    ),
    "a MIME library, text as base64": Sent(
        disposition(b'filename="a.txt"'),
        "a.txt",
        text=b'Content-Transfer-Encoding: base64\r\nContent-Disposition: form-data; name="title"',
        value=b"TWHDnw==",
    ),
    "a MIME library, a preamble and an epilogue": Sent(
        disposition(b'filename="a.txt"'),
        "a.txt",
        before=b"This is a multi-part message in MIME format.\r\n\r\n",
        after=b"\r\nThat was all.\r\n--X\r\n",
    ),
    "a script, a boundary with spaces": Sent(
        disposition(b'filename="a.txt"'),
        "a.txt",
        content_type="multipart/form-data;boundary=HyperLog -1663179571660",
        boundary=b"HyperLog -1663179571660",
    ),
    "a script, a boundary beyond ASCII": Sent(
        disposition(b'filename="a.txt"'),
        "a.txt",
        content_type="multipart/form-data; boundary=---\xc3\xa4@{}|",
        boundary=b"---\xc3\xa4@{}|",
    ),
    "a script, a boundary of 120 characters": Sent(
        disposition(b'filename="a.txt"'),
        "a.txt",
        content_type="multipart/form-data; boundary=" + "=" * 120,
        boundary=b"=" * 120,
    ),
    "a script, a boundary in single quotes": Sent(
        disposition(b'filename="a.txt"'), "a.txt", content_type="multipart/form-data; boundary='X'", boundary=b"'X'"
    ),
    "a script, single quotes around the boundary and the charset": Sent(
        disposition(b'filename="a.txt"'), "a.txt", content_type="multipart/form-data; boundary='X'; charset='utf-8'"
    ),
    "a script, single quotes around the boundary, behind a line break": Sent(
        disposition(b'filename="a.txt"'), "a.txt", content_type="multipart/form-data; boundary='X'", before=b"\r\n"
    ),
    "a mail library, a long name in pieces": Sent(disposition(b'filename*0="gr\xc3\xb6\xc3"; filename*1="\x9fe.txt"')),
    "a mail library, a long name in encoded pieces": Sent(
        disposition(b"filename*1*=%9Fe; filename*0*=utf-8'en'gr%C3%B6%C3; filename*2=\" %41.txt\""),
        "größe %41.txt",
    ),
    "a mail library, a name in pieces and in one": Sent(
        disposition(b"filename=gr__e.txt; filename*0*=utf-8''gr%C3%B6; filename*1*=%C3%9Fe.txt")
    ),
    "a mail library, pieces of which the second is encoded": Sent(
        disposition(b"filename*0=gr; filename*1*=%C3%B6%C3%9Fe.txt")
    ),
    "a script, spaces behind boundaries": Sent(
        disposition(b'filename="a.txt"'),
        "a.txt",
        before=b'--X  \r\nContent-Disposition: form-data; name="first"\r\n\r\n1\r\n',
        fields={"first": "1"},
    ),
    "a script, two semicolons": Sent(
        b'CONTENT-DISPOSITION:form-data;; name="file" ;; filename="a.txt";;',
        "a.txt",
        content_type="multipart/form-data;; boundary=X;",
        declared=None,
    ),
    "a script, no quotes": Sent(
        b"content-disposition: form-data;name=file;filename=my file.txt", "my file.txt", declared=None
    ),
    "a script, single quotes": Sent(
        b"Content-Disposition: form-data; name='file'; filename='my file.txt'", "my file.txt", declared=None
    ),
    "a script, the whole type": Sent(
        b"Content-Disposition: multipart/form-data; name=file; filename=a.txt", "a.txt", declared=None
    ),
}
"""What browsers, phones and libraries send; the versions are those that changed it."""
