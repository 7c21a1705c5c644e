"""Accessibility: axe-core finds nothing, light or dark, wide or narrow."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING, Any

import cloud
import pytest
from cloud._resources.notebook import NotebookClient

from tests.browser.conftest import violations
from tests.current_client import current_client

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloud._client.client import Client
    from playwright.sync_api import BrowserContext

LOOKS: list[dict[str, Any]] = [
    {"color_scheme": "light", "viewport": {"width": 1280, "height": 800}},
    {"color_scheme": "dark", "viewport": {"width": 360, "height": 740}},
]


PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


def scaled(x: float, times: int = 2, *, exact: bool = False, more: list[Any] | None = None) -> None:
    """A function with parameters of several kinds."""
    del x, times, exact, more


def fill(client: Client) -> None:
    """Make one of each noun."""
    with current_client(client):
        numbers, *_ = map(cloud.queue.get, ("numbers", "squares", "failed"))
        numbers.attach(abs, output_queues=["squares"], on_error={ValueError: "failed"})
        cloud.bucket.putf("x", "folder/object")
        cloud.bucket.putf("x", "object")
        cloud.bucket.putf("a,b\n1,2\n", "table.csv")
        cloud.bucket.putf(PNG, "image.png")
        if not cloud.environment.list_envs():
            cloud.environment.build("mine", {"texts": {"a": "1"}})
        cloud.cron.register(dict, "nightly", "@daily")
        cloud.rest.publish(scaled, "scaled")
        cloud.budget.set(5, "day", label="looks", action="warn")
        if not cloud.notebook.list():
            waiting = cloud.call(abs, 1, _depends_on=cloud.call(time.sleep, 600))
            NotebookClient(client.transport).run("n", int(waiting), 8888)
        cloud.notebook.password("n", "two words for us")


@pytest.mark.parametrize("look", LOOKS, ids=["light", "dark-narrow"])
def test_pages_follow_the_guidelines(
    open_window: Callable[..., BrowserContext], client: Client, look: dict[str, Any]
) -> None:
    """WCAG 2.2 A and AA hold on each page, and no page is wider than a narrow screen."""
    done, failed = client.map(abs, [1, "x"], _label="looks"), client.call(divmod, 1, 0)
    profiled = client.call(sorted, [2, 1], _profile=True)
    after = client.call(abs, 1, _depends_on=done[:1])
    client.join([*done, failed, profiled, after], 60, ignore_errors=True)
    fill(client)
    page = open_window(**look).pages[0]
    start = page.url.removesuffix("/jobs")
    paths = ["/jobs", f"/maps/{done[0]}", f"/jobs/{failed}", f"/jobs/{done[0]}", "/sign-in"]
    paths += ["/queues", "/bucket", "/volumes", "/crons", "/realtime", "/keys", "/usage"]
    paths += ["/members", "/audit", "/notebooks", "/notebooks/shared/a0000001-n-nb"]
    paths += ["/endpoints", "/endpoints/scaled", "/environments", "/environments/mine"]
    paths += [
        f"/jobs/{profiled}/profile",
        f"/jobs/{failed}/clone",
        f"/jobs/{after}/dependencies",
        "/queues/numbers",
    ]
    paths += ["/bucket/preview?key=table.csv", "/bucket/preview?key=image.png"]

    found = {}
    for path in paths:
        page.goto(start + path)
        found[path] = violations(page)
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found[path].append("wider than the screen")

    assert {path: each for path, each in found.items() if each} == {}
