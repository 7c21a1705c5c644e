"""S3 is killed in the middle of each verb of buckets: one sentence, and no half object."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from typing import TYPE_CHECKING

import pytest
from cloud import CloudException
from cloud._config.configuration import Config
from cloud._http.transport import Backoff, ServerAddress, Transport
from cloud._resources.bucket import BucketClient
from picloud_model.wire.bucket import PART_BYTES, WHOLE_OBJECT_BYTES

from tests.object_link import ObjectLink
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cloud._http.exchange import HttpRequest

    from tests.e2e.stack_hashicorp import HashiCorpStack

SIZE = WHOLE_OBJECT_BYTES + 1
PARTS = WHOLE_OBJECT_BYTES // PART_BYTES + 1


class Victim:
    """A bucket whose store can be killed."""

    def __init__(self, stack: HashiCorpStack, link: ObjectLink) -> None:
        self._stack = stack
        self.link = link
        self._killing = threading.Lock()
        config = Config()
        config.retry_attempts = 1
        address = ServerAddress(stack.url, stack.key)
        self.objects = BucketClient(Transport(address, config, link, Backoff(sleep=lambda _: None)))

    def fail(self, verb: Callable[[], object], transfers: int | None = None) -> None:
        """Kill the store before a verb, or once some transfers of it are done; start it again."""
        left = [None] * (transfers or 0)
        wanted = self.link.answered + len(left)

        def before(_: HttpRequest) -> None:
            with self._killing:
                if left:
                    left.pop()
                else:
                    until(lambda: self.link.answered >= wanted, "the transfers before are done")
                    self._stack.kill_server("versitygw")

        if transfers is None:
            self._stack.kill_server("versitygw")
        else:
            self.link.before = before
        with pytest.raises(CloudException) as caught:
            verb()
        self.link.before = lambda _: None
        self._stack.revive()
        assert "\n" not in str(caught.value), caught.value


def test_s3_is_killed_in_the_middle_of_each_verb(
    servers: HashiCorpStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each ends with one sentence; objects and files are as they were; then each succeeds."""
    monkeypatch.setenv("PICLOUD_CONFIG_DIR", str(tmp_path / "config"))
    file, copy = tmp_path / "file", tmp_path / "copy"
    old, new = os.urandom(SIZE), os.urandom(SIZE)
    with contextlib.closing(ObjectLink(servers.url)) as link:
        victim = Victim(servers, link)
        objects = victim.objects
        objects.put_object(old, "large")
        objects.put_object(b"old", "small")
        known = [objects.info(key) for key in ("large", "small")]

        file.write_bytes(new)
        victim.fail(lambda: objects.put_file(file, "large"), 2)
        victim.fail(lambda: objects.put_file(file, "other"), 2)
        victim.fail(lambda: objects.get_file("large", str(copy)), 2)
        for verb in (
            lambda: objects.put_object(b"new", "small"),
            lambda: objects.info("small"),
            lambda: objects.keys("", "", 10, folderize=False),
            lambda: objects.publish("small", public=True, headers={}),
            lambda: objects.remove(["small"]),
            lambda: objects.reader("small"),
        ):
            victim.fail(verb)

        assert [objects.info(key) for key in ("large", "small")] == known
        assert objects.keys("", "", 10, folderize=False) == (["large", "small"], False)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["config", "file"]
        objects.get_file("large", str(copy))
        assert copy.read_bytes() == old
        link.transfers = 0
        objects.put_file(file, "large")
        assert link.transfers < PARTS
        assert objects.md5("large") == hashlib.md5(new).hexdigest()
        objects.remove(["small"])
        assert objects.find("small") is None
