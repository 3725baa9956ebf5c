"""Hold what one upload has of the memory that all share."""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, Protocol

from fastapi_filestore.errors import FilestoreError, UploadMemoryError

PATIENCE_ONCE_BEGUN: Final = 20.0
"""Seconds that an upload waits, while nobody gets any, for memory that it had before."""
STEP: Final = 128 * 1024
"""Bytes that an upload takes at first, and that what is kept of a body grows by."""


class Sender(Protocol):
    """Whoever sends what an upload holds."""

    @property
    def behind(self) -> float:
        """Seconds that it is behind while it is waited for; 0 while it is not."""
        ...

    @property
    def is_ending(self) -> bool:
        """Tell whether it was told to end."""
        ...

    def end(self, error: FilestoreError) -> None:
        """Raise an error where it is waited for, soon."""
        ...


class Budget(Protocol):
    """The memory that shares are of."""

    @property
    def is_wanted(self) -> bool:
        """Tell whether somebody waits for a share."""
        ...

    async def take(
        self, share: "Share", least: int, most: int = 0, *, patience: float | None = None, is_first: bool = False
    ) -> None:
        """Let a share have `least` to `most` bytes more."""
        ...

    def give_back(self, share: "Share") -> None:
        """Hold nothing of a share any longer."""
        ...

    def flowed(self) -> None:
        """Note that bytes have reached their store."""
        ...


@dataclass(slots=True, eq=False)
class Share:
    """The part of a budget that an upload holds.

    Attributes:
        size: The bytes that it counts for.
        used: The bytes of them that are really held, as far as the upload tells.
        sender: Who sends them, once that is known.
        is_kept: Whether it holds what stays in memory until the end of a request, and never goes on to a store.
        is_waiting: Whether it waits for more.
        is_refused: Whether it waited for more, and is about to be given back instead.
    """

    budget: Budget
    size: int = 0
    used: int = 0
    sender: Sender | None = None
    is_kept: bool = False
    is_waiting: bool = False
    is_refused: bool = False
    _granted: int = 0

    @property
    def behind(self) -> float:
        """Seconds that whoever sends it is behind; 0 where nobody is waited for."""
        return 0 if self.sender is None or self.is_waiting else self.sender.behind

    @property
    def is_ending(self) -> bool:
        """Tell whether it is about to be given back."""
        return self.is_refused or (self.sender is not None and self.sender.is_ending)

    def end(self) -> int:
        """End whoever sends it, and return the bytes that will be free then; the budget calls this."""
        if self.sender is None or self.is_ending:
            return 0
        self.sender.end(UploadMemoryError())
        return self.size

    async def widen(self, *, least: int, most: int) -> None:
        """Hold `least` to `most` bytes in all from now on; `UploadMemoryError` if they are not to be had."""
        await self.budget.take(self, least - self.size, most - self.size)

    async def keep(self, size: int) -> None:
        """Hold so many bytes until the end, in steps: for what is kept of a body beside its files."""
        self.used = size
        if size > self.size:
            await self.budget.take(self, STEP * -(-size // STEP) - self.size)

    async def count(self, size: int) -> None:
        """Note that so many bytes came; what was given back for a while is taken again."""
        self.used += size
        if self.size < self._granted and self.used > self.size:
            await self.budget.take(self, self._granted - self.size, patience=PATIENCE_ONCE_BEGUN, is_first=True)

    def let_go(self, size: int) -> None:
        """Note that so many bytes are held no longer."""
        self.used -= size
        self.budget.flowed()

    async def give_way(self) -> None:
        """Let those who wait go first, if there are any; whoever calls this must hold nothing meanwhile."""
        if self.budget.is_wanted:
            size = self._granted
            self.budget.give_back(self)
            await self.budget.take(self, size, patience=PATIENCE_ONCE_BEGUN)

    def grant(self, size: int) -> None:
        """Let it have so many bytes more; the budget calls this."""
        self.size += size
        self._granted = max(self._granted, self.size)
        self.is_waiting = False

    def give_back_unused(self) -> int:
        """Count for what is used only, and return the bytes that are free now; the budget calls this."""
        freed = max(0, self.size - STEP * -(-self.used // STEP))
        self.size -= freed
        return freed


share_in_use: ContextVar[Share | None] = ContextVar("share_in_use", default=None)
"""The share that holds what the present task reads: whoever waits for a client tells it so."""
