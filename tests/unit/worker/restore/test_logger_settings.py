"""What a job sets on a logger is gone after it."""

from __future__ import annotations

import logging
import logging.config
from typing import TYPE_CHECKING, Any

import pytest
from picloud_worker.restore.logger_settings import LoggerSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KNOWN = "tests.known"


@pytest.fixture
def known() -> Iterator[logging.Logger]:
    """A logger that a library has set up when it was imported."""
    logger = logging.getLogger(KNOWN)
    logger.addHandler(handler := logging.NullHandler())
    logger.setLevel(logging.INFO)
    yield logger
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


def configure() -> None:
    """Disable all loggers that are there, as a configuration does by default."""
    logging.config.dictConfig({"version": 1})


def silence() -> None:
    """Show the records of a library nowhere."""
    logger = logging.getLogger(KNOWN)
    logger.handlers = [logging.StreamHandler()]
    logger.propagate = False


CHANGES: list[Callable[[], Any]] = [
    lambda: logging.getLogger(KNOWN).addHandler(logging.StreamHandler()),
    lambda: logging.getLogger(KNOWN).setLevel(logging.ERROR),
    lambda: logging.getLogger("tests.of_a_job").addHandler(logging.StreamHandler()),
    lambda: logging.getLogger("tests.of_a_job").setLevel(logging.DEBUG),
    silence,
    configure,
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_seen_and_undone(known: logging.Logger, change: Callable[[], Any]) -> None:
    """Handlers and levels of loggers that were there, and of those that a job has made."""
    settings = LoggerSettings()
    before, handlers = settings.read(), [*known.handlers]

    change()
    changed = settings.read()
    settings.restore(before)

    assert changed != before
    assert settings.read() is before
    assert (known.handlers, known.level, known.propagate) == (handlers, logging.INFO, True)
    assert not known.disabled
    assert known.isEnabledFor(logging.INFO)
    assert not logging.getLogger("tests.of_a_job").handlers


def test_loggers_are_not_looked_at_while_nothing_is_set(known: logging.Logger) -> None:
    """Neither by logging, nor by a logger that is made."""
    settings = LoggerSettings()
    before = settings.read()

    known.info("a record")
    logging.getLogger("tests.new").warning("another")

    assert settings.read() is before
