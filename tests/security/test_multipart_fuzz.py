"""The form parser under fire: see `make fuzz` for more of it."""

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from fastapi_filestore.errors import FilestoreError, MalformedUploadError
from fastapi_filestore.intake.forms.part_head import PartHead, read_head
from tests.security.forms import Form, finished, forms, mutants, outcome, read_by_starlette

CUTS = st.lists(st.integers(1, 90), min_size=1, max_size=5)
WHOLE = [1_000_000]


@settings(deadline=None)
@given(forms(), CUTS)
def test_a_form_comes_out_as_it_went_in(form: Form, cuts: list[int]) -> None:
    """However it is written and cut, every field and every file is what its client meant."""
    assert outcome(form.content_type, form.encoded(), cuts) == form.meant()


@settings(deadline=None)
@given(forms(), CUTS)
def test_starlette_reads_the_same(form: Form, cuts: list[int]) -> None:
    """A valid form is to us what it is to Starlette, so nobody gets past one with what the other does not see."""
    ours = outcome(form.content_type, form.encoded(), WHOLE)

    assert ours == finished(read_by_starlette(form.content_type, form.encoded(), cuts))


@settings(deadline=None)
@given(mutants(), CUTS)
def test_a_broken_form_reads_alike_however_it_is_cut(mutant: tuple[str, bytes], cuts: list[int]) -> None:
    """Whole or in pieces, a damaged form is the same form or the same kind of error, and never a crash."""
    content_type, body = mutant

    assert outcome(content_type, body, cuts) == outcome(content_type, body, WHOLE)


@settings(deadline=None)
@given(st.one_of(st.just("multipart/form-data; boundary=b"), st.text(max_size=60)), st.binary(max_size=300), CUTS)
def test_any_bytes_are_a_form_or_an_error(content_type: str, body: bytes, cuts: list[int]) -> None:
    """Bytes and a content type of any kind are never anything else."""
    result = outcome(content_type, body, cuts)

    assert isinstance(result, tuple) or issubclass(result, FilestoreError)


DISPOSITION_PIECES = st.sampled_from(
    ["form-data", "attachment", ";", " ", "name", "filename", "filename*", "=", '"', "\\", "a", "UTF-8''", "%22", "\t"]
)


@settings(deadline=None)
@given(st.lists(st.one_of(DISPOSITION_PIECES.map(str.encode), st.binary(max_size=5)), max_size=20).map(b"".join))
def test_any_disposition_is_a_head_or_an_error(disposition: bytes) -> None:
    """A part's head of any bytes is read or refused, and what it says of a file is in it."""
    with suppress(MalformedUploadError):
        head = read_head([(b"content-disposition", disposition)])

        assert isinstance(head, PartHead)
        assert head.filename is None or b"filename" in disposition.lower()
