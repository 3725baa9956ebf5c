"""Clients of a budget that are behind, and what they hold."""

import asyncio
from dataclasses import dataclass, field

from fastapi_filestore.errors import FilestoreError
from fastapi_filestore.storage.budget import MemoryBudget
from fastapi_filestore.storage.share import Share

MIB = 1024 * 1024


PART = {"least": 5 * MIB, "most": 5 * MIB}


@dataclass
class Client:
    """A client that is so many seconds behind; what it holds is given back when it is ended."""

    behind: float
    share: Share
    errors: list[FilestoreError] = field(default_factory=list[FilestoreError])

    @property
    def is_ending(self) -> bool:
        """Whether it was ended."""
        return bool(self.errors)

    def end(self, error: FilestoreError) -> None:
        """Note an error, and give everything back a little later, as an upload does that is aborted."""
        self.errors.append(error)
        asyncio.get_running_loop().call_later(0.01, self.share.budget.give_back, self.share)


async def holder(budget: MemoryBudget, *, behind: float, used: int = 5 * MIB, size: int = 5 * MIB) -> Client:
    """Return a client that holds memory, for a part if nothing else is said."""
    share = Share(budget)
    await budget.take(share, size)
    share.used = used
    share.sender = client = Client(behind, share)
    return client
