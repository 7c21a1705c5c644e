"""S3 is killed in the middle of each verb of buckets: one sentence, and no half object."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import selectors
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import cloud
import pytest
from cloud import CloudException
from cloud._config.configuration import Config
from cloud._http.transport import Backoff, ServerAddress, Transport
from cloud._resources.bucket import BucketClient
from picloud_model.wire.bucket import PART_BYTES, WHOLE_OBJECT_BYTES
from picloud_worker.mount.bucket_mount import BucketMount

from tests.current_client import current_client
from tests.object_link import ObjectLink
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloud._http.exchange import HttpRequest
    from cloud._resources.object_download import CloudBucketObject

    from tests.e2e.stack_hashicorp import HashiCorpStack

SIZE = WHOLE_OBJECT_BYTES + 1
PARTS = WHOLE_OBJECT_BYTES // PART_BYTES + 1
_READ_BYTES: Final = 1024 * 1024
_FILE_BYTES: Final = 8 * 1024 * 1024
_LINES: Final = 100_000
"""More bytes than a job has read ahead when S3 is killed."""
WAIT_S: Final = 90.0


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

    def fail(self, verb: Callable[[], object], transfers: int) -> None:
        """Kill the store once some transfers of a verb are done; start it again."""
        left = [None] * transfers
        wanted = self.link.answered + transfers

        def before(_: HttpRequest) -> None:
            with self._killing:
                if left:
                    left.pop()
                else:
                    until(lambda: self.link.answered >= wanted, "the transfers before are done")
                    self._stack.kill_server("versitygw")

        self.link.before = before
        refused(verb)
        self.link.before = lambda _: None
        self._stack.revive()

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """The store is killed in the block, and started again after it."""
        self._stack.kill_server("versitygw")
        try:
            yield
        finally:
            self._stack.revive()


def refused(verb: Callable[[], object]) -> None:
    """The verb ends with one sentence."""
    with pytest.raises(CloudException) as caught:
        verb()
    assert "\n" not in str(caught.value), caught.value


def transfers(victim: Victim, folder: Path) -> None:
    """Large objects and files are as they were; then an upload goes on with the parts it has."""
    file, copy, objects, link = folder / "file", folder / "copy", victim.objects, victim.link
    old, new = os.urandom(SIZE), os.urandom(SIZE)
    objects.put_object(old, "large")
    known = objects.info("large")

    file.write_bytes(new)
    victim.fail(lambda: objects.put_file(file, "large"), 2)
    victim.fail(lambda: objects.put_file(file, "other"), 2)
    victim.fail(lambda: objects.get_file("large", str(copy)), 2)
    reader = objects.reader("large", 0, _READ_BYTES)
    first = reader.read(5)
    victim.fail(reader.read, 1)

    assert objects.info("large") == known
    assert objects.keys("", "", 10, folderize=False) == (["large"], False)
    assert sorted(path.name for path in folder.iterdir()) == ["file"]
    assert first + reader.read() == old[:_READ_BYTES]
    objects.get_file("large", str(copy))
    assert copy.read_bytes() == old
    link.transfers = 0
    objects.put_file(file, "large")
    assert link.transfers < PARTS
    assert objects.md5("large") == hashlib.md5(new).hexdigest()


def requests(victim: Victim) -> None:
    """Each request is refused, and has changed nothing; then it succeeds."""
    objects = victim.objects
    objects.put_object(b"old", "small")
    known = objects.info("small")
    keys = objects.keys("", "", 10, folderize=False)

    with victim.away():
        for verb in (
            lambda: objects.put_object(b"new", "small"),
            lambda: objects.info("small"),
            lambda: objects.md5("small"),
            lambda: objects.path("small"),
            lambda: objects.keys("", "", 10, folderize=False),
            lambda: objects.copy("small", "copy"),
            lambda: objects.publish("small", public=True, headers={}),
            lambda: objects.remove(["small"]),
            lambda: objects.reader("small"),
        ):
            refused(verb)

    assert objects.info("small") == known
    assert objects.keys("", "", 10, folderize=False) == keys
    objects.remove(["small"])
    assert objects.find("small") is None


def files(victim: Victim, folder: Path) -> None:
    """Each call of a program fails with EIO; what is still open is read and stored afterwards."""
    objects = victim.objects
    data = os.urandom(_FILE_BYTES)
    objects.put_object(data, "files/long")
    objects.put_object(b"old", "files/old")
    objects.put_object(b"", "files/other")  # libfuse may answer EBUSY for a file that is open
    with (
        (folder / "long").open("rb", buffering=0) as reading,
        (folder / "new").open("wb", buffering=0) as writing,
        (folder / "old").open("ab", buffering=0) as appending,
    ):
        first = reading.read(5)
        closing = os.open(folder / "closed", os.O_CREAT | os.O_WRONLY)
        os.write(closing, b"lost")
        writing.write(b"new")
        appending.write(b", and more")
        with victim.away():
            for call in (
                lambda: os.pread(reading.fileno(), 10, _FILE_BYTES - 10),
                lambda: os.fsync(writing.fileno()),
                lambda: os.fsync(appending.fileno()),
                lambda: list(folder.iterdir()),
                (folder / "old").read_bytes,
                lambda: (folder / "long").rename(folder / "renamed"),
                (folder / "other").unlink,
                (folder / "sub").mkdir,
                lambda: os.close(closing),
            ):
                with pytest.raises(OSError, match=os.strerror(errno.EIO)):
                    call()
        keys, _ = objects.keys("files/", "", 10, folderize=False)
        assert keys == ["files/long", "files/old", "files/other"]
        assert first + reading.read() == data

    assert [(folder / name).read_bytes() for name in ("new", "old")] == [b"new", b"old, and more"]


def count_lines(shared: str, opened: CloudBucketObject) -> int:
    """Read a line of a chunk, and the others once the test allows it."""
    lines = int(bool(opened.readline()))
    Path(shared, uuid4().hex).touch()
    until((Path(shared) / "go").exists, "the test allows it", WAIT_S)
    return lines + sum(1 for _ in opened)


def maps(servers: HashiCorpStack) -> None:
    """A map is refused, or its jobs end with an error; then the same map reads each line once."""
    shared = servers.shared / "map"
    shared.mkdir()
    count = partial(count_lines, str(shared))
    with contextlib.closing(servers.client()) as client, current_client(client):
        cloud.bucket.putf(b"%063d\n" % 0 * _LINES, "lines")
        jids = cloud.bucket.map(count, "lines", _LINES * 64 // 2)
        until(lambda: len(list(shared.iterdir())) == len(jids) == 2, "both jobs read", WAIT_S)
        servers.kill_server("versitygw")
        (shared / "go").touch()

        for jid in jids:
            with pytest.raises(CloudException, match="answer"):
                cloud.result(jid, WAIT_S)
        refused(lambda: cloud.bucket.map(count, "lines"))

        servers.revive()
        assert sum(cloud.result(cloud.bucket.map(count, "lines", 1_000_000), WAIT_S)) == _LINES


@contextlib.contextmanager
def mounted(stack: HashiCorpStack, copies: Path) -> Iterator[Path]:
    """The bucket is mounted in the block."""
    mount = BucketMount(stack.url, stack.key, copies, owner=(os.getuid(), os.getgid()))
    mount.use(selectors.DefaultSelector())
    until(lambda: mount.reply().ready, "the bucket is mounted")
    yield Path(mount.reply().path)
    mount.close()


def test_s3_is_killed_in_the_middle_of_each_verb(
    servers: HashiCorpStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the SDK, by programs that have the bucket as files, and in maps; it takes 20 s."""
    monkeypatch.setenv("PICLOUD_CONFIG_DIR", str(tmp_path / "config"))
    folder, copies = tmp_path / "folder", tmp_path / "copies"
    folder.mkdir()
    copies.mkdir()
    with contextlib.closing(ObjectLink(servers.url)) as link:
        victim = Victim(servers, link)
        transfers(victim, folder)
        requests(victim)
        with mounted(servers, copies) as bucket:
            files(victim, bucket / "files")
        maps(servers)
