"""Many jobs over the standard Executor interface: processes of this machine, or a Dask cluster."""

import multiprocessing
import os
import re
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection

from opsbrief.errors import ConfigError, OpsbriefError, Problem
from opsbrief.model.digest import Report
from opsbrief.text import line
from opsbrief.weekly.job import Job, work

_ADDRESS = re.compile(r"(?:(?:tcp|tls|ucx|wss?)://)?[A-Za-z0-9_.:\[\]-]{1,255}:[0-9]{1,5}")
_CONNECT = 15.0  # seconds to reach a Dask scheduler


@contextmanager
def local(workers: int) -> Iterator[Executor]:
    """Yield ``workers`` processes of this machine. They end with this process, however it ends."""
    context = multiprocessing.get_context("spawn")  # a fork would inherit the lock and other threads' states
    ours, theirs = context.Pipe()
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=(theirs,))
    try:
        yield pool
        pool.shutdown()
    finally:
        ours.close()  # what is still running stops now
        pool.shutdown(wait=False, cancel_futures=True)
        theirs.close()


@contextmanager
def dask(address: str) -> Iterator[Executor]:
    """Yield the executor of the Dask cluster whose scheduler is at ``address`` ("tcp://host:8786").

    Raises ConfigError for what is no address, OpsbriefError when Dask is not installed or the scheduler
    cannot be reached.
    """
    if not _ADDRESS.fullmatch(address):
        hint = "give the address that 'dask scheduler' prints, for example tcp://host:8786"
        raise ConfigError(Problem("--scheduler", "", f"{line(address, 100)!r} is no address of a scheduler", hint))
    try:
        from distributed import Client  # noqa: PLC0415 - an extra, and a second of import
    except ImportError:
        raise OpsbriefError("Dask is not installed", "pip install 'opsbrief[dask]'") from None
    try:
        client = Client(address, timeout=_CONNECT, set_as_default=False)  # type: ignore[no-untyped-call] # Dask has no types
    except (OSError, ValueError) as error:
        raise OpsbriefError(
            f"the Dask scheduler at {line(address, 100)} cannot be reached: {line(str(error), 200)}",
            "is it running, and can this machine reach it?",
        ) from error
    try:
        yield client.get_executor(pure=False)  # type: ignore[no-untyped-call] # same
    finally:
        client.close()  # type: ignore[no-untyped-call] # same


def run(jobs: Sequence[Job], pool: Executor) -> Iterator[Report]:
    """Yield the report of each job as it is finished; a job that failed yields one that says why."""
    futures = {pool.submit(work, job): job for job in jobs}
    for future in as_completed(futures):
        error = future.exception()
        yield future.result() if error is None else Report(service=futures[future].service, error=_said(error))


def _said(error: BaseException) -> str:
    if isinstance(error, OpsbriefError):
        return str(error)
    return f"{type(error).__name__} in the worker: {line(str(error), 200)}; a defect of opsbrief, or a worker that died"


def _start(alive: Connection) -> None:
    """Set up a worker: Ctrl-C is the parent's business, and without the parent there is nothing to do."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_watch, args=(alive,), daemon=True).start()


def _watch(alive: Connection) -> None:
    with suppress(EOFError, OSError):
        alive.recv()  # nothing is ever sent: this ends when the other end is closed
    os._exit(1)
