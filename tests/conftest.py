"""What every test has: both anyio backends, logging and signals as a fresh process has them."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Who starts the tests may ignore signals, as nohup and ``&`` do; programs obey that."""
    heeded = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
    ignored = [number for number in heeded if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, heeded[number])
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture(autouse=True)
def untouched_logging() -> Iterator[None]:
    """Undo whatever a test, or one before, does to structlog and to the logger ``spinney``."""
    logger = logging.getLogger("spinney")

    def restore() -> None:
        if structlog := sys.modules.get("structlog"):  # not installed where packages are tested
            structlog.reset_defaults()
        for handler in logger.handlers[:]:
            logger.removeHandler(handler)
            handler.close()
        logger.setLevel(logging.NOTSET)
        logger.propagate, logger.disabled = True, False

    restore()
    yield
    restore()
