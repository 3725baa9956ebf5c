"""The threads that wait for disks."""

import asyncio
import subprocess
import sys
import threading
from functools import partial
from textwrap import dedent

import pytest

from fastapi_filestore import BlockingCallError
from fastapi_filestore.concurrency.threads import WorkThreads


async def test_work_is_done_at_once() -> None:
    """As many pieces of work as there may be threads go on at the same time; more wait for their turn."""
    threads, barrier = WorkThreads("test", most=3), threading.Barrier(3)

    def meet() -> str:
        barrier.wait(timeout=60)
        return threading.current_thread().name

    assert await asyncio.gather(*(threads.submit(meet) for _ in range(9))) == ["test"] * 9


@pytest.mark.parametrize("number", [2, 40])
async def test_work_that_waits_for_work(number: int) -> None:
    """Work that keeps every thread waiting for work behind it gets that a thread; nobody waits for ever."""
    threads, meeting = WorkThreads("test", most=1), threading.Barrier(number)
    jobs = [threads.submit(partial(meeting.wait, timeout=60)) for _ in range(number)]

    assert sorted(await asyncio.wait_for(asyncio.gather(*jobs), 60)) == [*range(number)]


async def test_threads_that_all_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work for which no thread becomes free for long is refused in words, is not done, and the others go on."""
    monkeypatch.setattr("fastapi_filestore.concurrency.threads.MOST", 2)
    monkeypatch.setattr("fastapi_filestore.concurrency.threads.STUCK", 0.3)
    threads, go_on, done = WorkThreads("nested", most=1), threading.Event(), list[int]()
    waiting = [threads.submit(partial(go_on.wait, timeout=60)) for _ in range(2)]
    refused = threads.submit(lambda: done.append(1))
    with pytest.raises(BlockingCallError, match="All 2 threads 'nested'"):
        await asyncio.wait_for(refused, 60)
    go_on.set()

    assert await asyncio.wait_for(asyncio.gather(*waiting), 60) == [True, True]
    assert await asyncio.wait_for(threads.submit(lambda: 7), 60) == 7
    assert done == []


async def test_threads_end_that_nobody_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads without work end after a while, and others begin when there is work again."""
    monkeypatch.setattr("fastapi_filestore.concurrency.threads.IDLE", 0.01)
    threads = WorkThreads("ends-soon")
    for turn in range(20):
        meeting = threading.Barrier(5)
        await asyncio.gather(*(threads.submit(partial(meeting.wait, timeout=60)) for _ in range(5)))
        await asyncio.sleep(turn % 5 * 0.005)
    for thread in threading.enumerate():
        if thread.name == "ends-soon":
            await asyncio.to_thread(thread.join, 60)

    assert not any(thread.name == "ends-soon" for thread in threading.enumerate())
    assert await threads.submit(lambda: 1) == 1


async def test_errors_come_back() -> None:
    """What work raises is raised where it is waited for, and the thread goes on."""
    threads = WorkThreads("test", most=1)
    with pytest.raises(ZeroDivisionError):
        await threads.submit(lambda: 1 // 0)

    assert await threads.submit(lambda: 1) == 1


async def test_work_that_is_cancelled_in_time() -> None:
    """Work that still waits for a thread is not begun once it is cancelled."""
    threads, go_on, done = WorkThreads("test", most=1), threading.Event(), list[int]()
    first = threads.submit(lambda: go_on.wait(timeout=60))
    second = threads.submit(lambda: done.append(1))
    second.cancel()
    await asyncio.sleep(0)
    go_on.set()
    await first
    await threads.submit(lambda: None)

    assert done == []


def test_work_goes_on_after_the_main_thread() -> None:
    """A thread of the application's own that outlives the main one can still store files; all of them are there."""
    program = """
        import tempfile, threading, time
        from pathlib import Path
        from fastapi_filestore import ObstoreBackend
        from fastapi_filestore.concurrency.blocking import run_blocking
        folder = tempfile.mkdtemp()
        backend = ObstoreBackend("local", folder)
        def work():
            threading.main_thread().join()
            for number in range(12):
                run_blocking(backend.put(f"f/{number}", b"x"))
            print(len([*Path(folder, "f").iterdir()]))
        threading.Thread(target=work).start()
    """

    assert run(program) == "12\n"


def test_a_forked_process_has_threads_of_its_own() -> None:
    """A process that was forked off does not wait for its parent's threads."""
    program = """
        import asyncio, os
        from fastapi_filestore.concurrency.threads import WorkThreads
        threads = WorkThreads("test", most=1)
        async def work():
            await threads.submit(lambda: print("done", flush=True))
        asyncio.run(work())
        if child := os.fork():
            os.waitpid(child, 0)
        else:
            asyncio.run(work())
    """

    assert run(program) == "done\ndone\n"


def run(program: str) -> str:
    """Run a program in a process of its own, and return what it prints."""
    command = (sys.executable, "-c", dedent(program))
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)

    assert done.stderr == ""
    return done.stdout
