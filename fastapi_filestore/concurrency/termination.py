"""Put SIGTERM and SIGHUP off while a file is stored: they end the program once what was under way is undone."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_SIGNALS = [signal.Signals[name] for name in ("SIGTERM", "SIGHUP") if name in signal.Signals.__members__]
Handler = Callable[[int, FrameType | None], object]


class _TerminatedError(BaseException):
    """Raised in the main thread where the program would have ended at once."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(number)


@contextmanager
def deferring_termination() -> Iterator[None]:
    """Raise in the block what else would end the program in its middle, and end the program after the block.

    Programs that handle these signals, or ignore them, and threads other than the main one are left alone.
    """

    def terminate(number: int, frame: FrameType | None) -> NoReturn:
        raise _TerminatedError(number)

    is_main = threading.current_thread() is threading.main_thread()
    ours = [number for number in _SIGNALS if is_main and signal.getsignal(number) is signal.SIG_DFL]
    try:
        try:
            _handle(ours, terminate)
            yield
        finally:
            _handle(ours, signal.SIG_DFL)
    except _TerminatedError as termination:
        _handle(ours, signal.SIG_DFL)
        signal.raise_signal(termination.number)
        raise SystemExit(128 + termination.number) from None  # the first process of a container outlives the signal


def _handle(signals: list[signal.Signals], handler: Handler | signal.Handlers) -> None:
    for number in signals:
        signal.signal(number, handler)
