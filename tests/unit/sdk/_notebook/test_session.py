"""Notebooks as their owner sees them: what is refused before any request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cloud import CloudValueError, desktop, notebook
from cloud._notebook import session
from picloud_model.wire.notebook import Notebook

from tests.current_client import current_client

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = ("", "../up", "a/b", "A", "-a", "a b", "a\n", "x" * 41, ".hidden", "é", None, 7, b"a")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "act",
    [
        notebook.start,
        notebook.url,
        notebook.stop,
        notebook.delete,
        lambda name: notebook.password(name, None),
    ],
)
def test_a_name_is_checked_first(act: Callable[[Any], object], name: Any) -> None:
    """A name that could lead out of a directory, or be an option, reaches no server."""
    with current_client(object()), pytest.raises(CloudValueError, match="not a valid name of a no"):
        act(name)


@pytest.mark.parametrize("act", [desktop.start, desktop.url, desktop.stop, desktop.delete])
@pytest.mark.parametrize("name", NAMES[:4])
def test_the_name_of_a_desktop_is_checked_first(act: Callable[[Any], object], name: Any) -> None:
    """As that of a notebook."""
    with current_client(object()), pytest.raises(CloudValueError, match="not a valid name of a de"):
        act(name)


@pytest.mark.parametrize("idle", [-1, float("nan"), float("inf"), "60", None, True, 10**9])
def test_idle_is_a_number_of_minutes(idle: Any) -> None:
    """0 stands for never, and what is not a time is refused."""
    with current_client(object()), pytest.raises(CloudValueError, match="is not a time: give min"):
        notebook.start("a", idle=idle)


def test_options_begin_with_an_underscore() -> None:
    """An argument that is none is named."""
    with pytest.raises(CloudValueError, match="There is no argument 'cores'"):
        notebook.start("a", cores=2)


def test_the_url_has_another_host_name_than_the_web_pages() -> None:
    """A browser sends the cookies of 127.0.0.1 to all its ports, but not to localhost."""
    running = Notebook(name="a", jid=1, ended=False, port=20_000, token="t0")

    assert session.url(running, 4321) == "http://localhost:4321/lab?token=t0"


def test_a_desktop_has_a_page_of_its_own() -> None:
    """The address is where its page is."""
    running = Notebook(name="a", jid=1, ended=False, port=20_000, token="t0", kind="desktop")

    assert session.url(running, 4321) == "http://localhost:4321/desktop?token=t0"
