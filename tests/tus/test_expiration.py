"""Expiration: uploads that are not gone on with."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest

from tests.tus.client import Tus, is_gone

pytestmark = pytest.mark.needs("expiration")
DATE = r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT"


@pytest.mark.spec("Upload-Expires", "It is a date of RFC 9110, in every answer to PATCH, and to POST if it is known.")
@pytest.mark.parametrize("of", ["POST", "PATCH", "PATCH of no byte"])
def test_an_upload_tells_when_it_expires(tus: Tus, of: str) -> None:
    """An upload that is not complete says a moment to come, in the one form that servers may send."""
    url = tus.begin(10)
    answers = {
        "POST": lambda: tus.post({"Upload-Length": "10"}),
        "PATCH": lambda: tus.patch(url, 0, b"0123"),
        "PATCH of no byte": lambda: tus.patch(url, 0, b""),
    }
    value = answers[of]().headers["Upload-Expires"]

    assert re.fullmatch(DATE, value)
    assert parsedate_to_datetime(value) > datetime.now(UTC)


@pytest.mark.needs("expire")
@pytest.mark.spec("Upload-Expires", "An upload that was removed is a 404 or a 410.")
@pytest.mark.parametrize("method", ["HEAD", "PATCH"])
def test_an_upload_that_expired_is_not_gone_on_with(tus: Tus, method: str) -> None:
    """Who comes after that moment is told that the upload is gone."""
    assert tus.server.expire is not None
    url = tus.begin(10, b"0123")
    tus.server.expire(url)

    answer = tus.head(url) if method == "HEAD" else tus.patch(url, 4, b"4567")

    assert is_gone(answer)
    assert "Upload-Offset" not in answer.headers
