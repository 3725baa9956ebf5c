"""What REDbot says of URLs, as JSON: `python -m tests.security.lint URL...`; its loop wants a process of its own."""

import json
import sys
from collections.abc import Sequence
from configparser import ConfigParser
from functools import partial

import thor
from httplint.note import levels
from redbot.resource import HttpResource

Notes = dict[str, list[tuple[str, str]]]
SERIOUS = {levels.WARN, levels.BAD}


def collect(resource: HttpResource, url: str, told: Notes, count: int) -> None:
    """Keep what is serious of a resource's notes, and end with the last resource."""
    ended = resource.response.complete
    told[url] = [] if ended else [("INCOMPLETE", str(resource.fetch_error))]
    told[url] += [(type(note).__name__, note.summary) for note in resource.response.notes if note.level in SERIOUS]
    checks = {name: check for name, check in resource.subreqs.items() if check.fetch_started}
    for name, check in checks.items():
        notes = [note for note in check.response.notes if note.level in SERIOUS]
        told[f"{url} ({name})"] = [(type(note).__name__, note.summary) for note in notes]
    if sum(" (" not in each for each in told) == count:
        thor.stop()


def main(urls: Sequence[str]) -> Notes:
    """Check every URL, with the range and conditional requests that REDbot adds on its own."""
    settings = ConfigParser()
    settings.read_dict({"redbot": {"enable_local_access": "True"}})
    told: Notes = {}
    for url in urls:
        resource = HttpResource(settings["redbot"])
        resource.set_request(url)
        resource.on("check_done", partial(collect, resource, url, told, len(urls)))
        resource.check()
    thor.run()
    return told


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))  # noqa: T201 - a program's output
