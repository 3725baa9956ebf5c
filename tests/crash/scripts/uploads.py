"""Uploads that are things of their own: begun, appended to, put together, taken by rows, ended."""

from contextlib import suppress

from sqlalchemy import update

from fastapi_filestore.errors import UploadClaimedError, UploadDigestError
from fastapi_filestore.uploads.claims import take
from tests.crash.application import Application
from tests.crash.models import LEDGER, UPLOADS
from tests.crash.scripts.clients import (
    FIRST,
    HALVES,
    SECOND,
    THIRD,
    URL_SECONDS,
    append,
    append_halves,
    begin,
    begun,
    claim,
    first_row,
    make_whole,
    open_upload,
    sign_urls,
    stored_by_client,
    stored_once,
    whole,
    with_one_segment,
    with_other_bytes,
    with_parts,
    with_two_segments,
    working,
)
from tests.crash.scripts.script import script, together, unit
from tests.crash.scripts.sweeping import sweep_all


@script(0)
async def upload_begun(application: Application) -> None:
    """Begin an upload with a URL to store at."""
    sign_urls()
    await begin(application, FIRST, expires_in=URL_SECONDS)


@script(1, arrange=open_upload(FIRST))
async def upload_appended(application: Application) -> None:
    """Append all of a file."""
    await append(application, FIRST, 0, *HALVES)


@script(2, arrange=open_upload(FIRST))
async def upload_appended_twice(application: Application) -> None:
    """Append a file in two requests."""
    await append_halves(application)


@script(2, arrange=open_upload(FIRST))
async def upload_cut(application: Application) -> None:
    """Append until the client is gone, and then the rest."""
    await append(application, FIRST, 0, HALVES[0], is_cut=True)
    await append(application, FIRST, len(HALVES[0]), HALVES[1])


@script(1, arrange=with_one_segment)
async def upload_of_one_segment(application: Application) -> None:
    """Complete an upload whose one segment is the file."""
    await make_whole(application)


@script(1, arrange=with_two_segments)
async def upload_of_two_segments(application: Application) -> None:
    """Make one object of two."""
    await make_whole(application)


@script(1, arrange=with_parts)
async def upload_of_parts(application: Application) -> None:
    """Begin an upload that is made of others, and put it together."""
    await begin(application, THIRD, parts=(FIRST, SECOND), concat="final")
    await make_whole(application, THIRD)


@script(0, arrange=with_other_bytes)
async def upload_of_another_digest(application: Application) -> None:
    """Make one object of two, which is none that was announced: the upload ends with all that it has."""
    with suppress(UploadDigestError):
        await make_whole(application)


@script(1, arrange=stored_by_client)
async def upload_promoted(application: Application) -> None:
    """Copy what a client stored where it can't store any more."""
    await make_whole(application)


@script(1, arrange=stored_once)
async def upload_adopted(application: Application) -> None:
    """Take what a client stored where it lies."""
    await make_whole(application)


@script(1, arrange=whole)
async def upload_claimed(application: Application) -> None:
    """Let a row take a complete upload."""
    await claim(application, "claimed", FIRST)


@script(1, arrange=with_two_segments)
async def upload_claimed_at_once(application: Application) -> None:
    """Put an upload together and let a row take it, as one request does."""
    await claim(application, "claimed", FIRST)


@script(1, arrange=stored_once)
async def upload_claimed_where_it_lies(application: Application) -> None:
    """Let a row take what a client stored by a URL that writes once."""
    await claim(application, "claimed", FIRST)


@script(0, arrange=whole)
async def upload_in_the_place_of_a_file(application: Application) -> None:
    """Put a complete upload in the place of a row's file."""
    async with working(application) as uploads, uploads.service.turn():
        claimed = await take(uploads, [begun[FIRST]])
        (file,) = claimed.files["file"]
        await uploads.service.replace(await first_row(uploads), file, field="file")
        await claimed.note_row("one")
        await uploads.service.commit()


@script(1, arrange=whole)
async def upload_copied_to_its_row(application: Application) -> None:
    """Let a row take a copy of a complete upload, as where its column chooses the folder by the row."""
    async with working(application) as uploads:
        file = (await uploads.find(begun[FIRST])).file
        assert file is not None, "the upload is complete"
        async with uploads.service.storing(file.plan_copy(), field="file") as copied, uploads.service.turn():
            claimed = await take(uploads, [begun[FIRST]], placed={begun[FIRST]: copied})
            (taken,) = claimed.files["file"]
            await uploads.service.create({"title": "claimed", "file": taken})
            await claimed.note_row("one")
            await uploads.service.commit()


@script(1, arrange=whole)
async def upload_claimed_and_given_back(application: Application) -> None:
    """Roll back the transaction in which a row took an upload, then let no row take it in one that is committed."""
    async with working(application) as uploads:
        claimed = await take(uploads, [begun[FIRST]])
        (file,) = claimed.files["file"]
        await uploads.service.create({"title": "claimed", "file": file})
        await uploads.service.rollback()
        claimed = await take(uploads, [begun[FIRST]])
        await claimed.give_back_untaken()


async def for_a_list(application: Application) -> None:
    """Bring two pages, one by requests, and one as a client stored it."""
    await begin(application, FIRST, field="pages")
    await append_halves(application)
    await make_whole(application)
    await begin(application, SECOND, field="pages")
    await append(application, SECOND, 0, *HALVES)
    await make_whole(application, SECOND)


@script(2, arrange=for_a_list)
async def uploads_claimed_by_a_list(application: Application) -> None:
    """Let a list take two uploads."""
    async with working(application) as uploads, uploads.service.turn():
        claimed = await take(uploads, [begun[FIRST], begun[SECOND]])
        await uploads.service.append(await first_row(uploads), claimed.files["pages"], field="pages")
        await claimed.note_row("one")
        await uploads.service.commit()


@script(0, arrange=with_two_segments)
async def upload_ended(application: Application) -> None:
    """End an upload of which something has come."""
    async with working(application) as uploads:
        await uploads.end(begun[FIRST])


@script(0, arrange=whole)
async def upload_ended_when_complete(application: Application) -> None:
    """End an upload that no row has taken."""
    async with working(application) as uploads:
        await uploads.end(begun[FIRST])


async def of_all_kinds(application: Application) -> None:
    """Begin uploads that end in each state, and let their time be over."""
    await with_two_segments(application)
    await make_whole(application)
    await begin(application, SECOND)
    await append_halves(application, SECOND)
    await begin(application, THIRD)
    await append(application, THIRD, 0, *HALVES)
    await claim(application, "claimed", THIRD)
    await begin(application, "part.txt", concat="partial")
    await append(application, "part.txt", 0, *HALVES)
    await begin(application, "final.txt", parts=("part.txt",), concat="final")
    await unit(lambda session: session.execute(update(UPLOADS.uploads).values(expires=0)))(application)


@script(1, arrange=of_all_kinds)
async def uploads_expired(application: Application) -> None:
    """Sweep when the time of uploads is over, and once more when what they held is due."""
    await sweep_all(application)
    await unit(lambda session: session.execute(update(LEDGER.table).values(due_at=0)))(application)
    await sweep_all(application)


@script(1, arrange=whole, concurrent=True)
async def two_claims(application: Application) -> None:
    """Let two rows take an upload at once: one of them does."""

    async def try_to_claim(title: str) -> None:
        with suppress(UploadClaimedError):
            await claim(application, title, FIRST)

    await together(try_to_claim("claimed"), try_to_claim("claimed, too"))


@script(1, arrange=with_two_segments, concurrent=True)
async def two_completions(application: Application) -> None:
    """Put an upload together twice at once."""
    await together(make_whole(application), make_whole(application))


@script(1, arrange=stored_by_client, concurrent=True)
async def two_promotions(application: Application) -> None:
    """Copy what a client stored twice at once: one of the copies stays."""
    await together(make_whole(application), make_whole(application))
