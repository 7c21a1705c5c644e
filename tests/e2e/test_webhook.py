"""`_on_done`, what `info` shows of it, and `picloud key webhook-secret`, on every stack."""

from __future__ import annotations

import hmac
import json
import re
import threading
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import cloud
import pytest
from cloud import CloudException

from tests.current_client import current_client
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloud._client.client import Client

    from tests.e2e.command_line import Exited


class Receiver(HTTPServer):
    """A program of a user's that receives webhooks; it refuses the first post."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.posts: list[tuple[dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        """Where to post."""
        return f"http://127.0.0.1:{self.server_port}/jobs?from=test"

    def news(self) -> list[Any]:
        """Return the bodies of the posts that were accepted."""
        return [json.loads(body) for _, body in self.posts[1:]]


class Handler(BaseHTTPRequestHandler):
    """Answers one post."""

    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posts.append((dict(self.headers), body))
        self.send_response(500 if len(self.server.posts) == 1 else 204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Write nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A program that receives webhooks."""
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_end_of_jobs_is_posted(
    client: Client, picloud: Callable[..., Exited], receiver: Receiver
) -> None:
    """Of calls, maps, commands and cron jobs; a refused post is repeated, and all are signed."""
    with current_client(client):
        secret = cloud.account.webhook_secret()
        assert picloud("key", "webhook-secret").out == f"{secret}\n"
        jid = cloud.call(lambda: 1 // 0, _on_done=receiver.url, _label="one")
        until(receiver.news, "the post that was refused has been repeated")
        (first,) = receiver.news()
        assert {name: first[name] for name in ("jid", "count", "status", "statuses", "label")} == {
            "jid": jid, "count": 1, "status": "error", "statuses": {"error": 1}, "label": "one",
        }  # fmt: skip

        jids = cloud.map(lambda x: x, range(3), _on_done=receiver.url)
        picloud("exec", "--on-done", receiver.url, "true")
        cloud.cron.register(lambda: None, "told", "0 0 1 1 *", _on_done=receiver.url)
        run = cloud.cron.manual_run("told")
        until(lambda: len(receiver.news()) == 4, "each of them has been posted")

        posted = {each["jid"]: each for each in receiver.news()}
        assert (posted[jids[0]]["count"], posted[jids[0]]["statuses"]) == (3, {"done": 3})
        assert posted[run]["label"] == "told"
        cloud.cron.deregister("told")
    for headers, body in receiver.posts:
        assert signature(secret, headers, body) in headers["PiCloud-Signature"].split()
    deliveries = [headers["PiCloud-Delivery"] for headers, _ in receiver.posts]
    assert deliveries[0] == deliveries[1]
    assert len(set(deliveries)) == 4


def signature(secret: str, headers: dict[str, str], body: bytes) -> str:
    """Return a signature as the documentation describes it."""
    signed = headers["PiCloud-Timestamp"].encode() + b"." + body
    return f"v1={hmac.new(secret.encode(), signed, sha256).hexdigest()}"


def test_a_secret_is_replaced(
    client: Client, picloud: Callable[..., Exited], receiver: Receiver
) -> None:
    """Posts are signed with the secret before, too."""
    with current_client(client):
        old = cloud.account.webhook_secret()
        new = picloud("key", "webhook-secret", "--rotate").out.strip()
        assert cloud.account.webhook_secret() == new != old

        cloud.call(lambda: None, _on_done=receiver.url)
        until(receiver.news, "the post that was refused has been repeated")

    for headers, body in receiver.posts:
        expected = [signature(secret, headers, body) for secret in (new, old)]
        assert headers["PiCloud-Signature"].split() == expected


def test_info_shows_what_became_of_a_post(
    client: Client, picloud: Callable[..., Exited], receiver: Receiver
) -> None:
    """That it was delivered; or why not, and when it is tried again."""
    with current_client(client):
        delivered = cloud.call(lambda: None, _on_done=receiver.url)
        refused = cloud.call(lambda: None, _on_done="http://127.0.0.1:1/")
        other = cloud.call(lambda: None)

        def webhook(jid: int) -> Any:
            return cloud.info(jid, "webhook")[jid]["webhook"]

        until(lambda: webhook(delivered)["state"] == "delivered", "the post is delivered")
        until(lambda: webhook(refused)["state"] == "retrying", "the other one was refused")

        known = webhook(refused)
        assert "It cannot be reached:" in known["problem"]
        assert known["next_attempt"] > known["last_attempt"]
        assert webhook(other) is None
    shown = picloud("info", str(refused), "-o", "webhook").out
    assert re.search(r"^webhook: retrying after \d+ attempts, the last at .*, the next at ", shown)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://169.254.169.254/latest/meta-data", "public addresses only"),
        ("http://127.0.0.2/", "public addresses only"),
        ("http://[::1]/", "public addresses only"),
        ("http://10.0.0.1/", "public addresses only"),
        ("example.org", "as https://example.org/jobs"),
        ("https://me:secret@example.org/", "without a user name"),
    ],
)
def test_urls_that_are_not_posted_to_are_refused(client: Client, url: str, reason: str) -> None:
    """When jobs are created; none is."""
    with current_client(client), pytest.raises(CloudException, match=reason):
        cloud.call(len, "abc", _on_done=url, _label="refused")
    with current_client(client):
        assert not cloud.jobs(label="refused")
        with pytest.raises(TypeError, match="_on_done must be a URL"):
            cloud.call(len, "abc", _on_done=5)
