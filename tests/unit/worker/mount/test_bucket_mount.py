"""The mount of a slot: begun when a job asks, ended with the slot."""

from __future__ import annotations

from pathlib import Path

from picloud_worker.mount.bucket_mount import BucketMount

from tests.polling import until


def test_a_mount_that_nobody_asked_for_does_not_exist(tmp_path: Path) -> None:
    """Closing it does nothing."""
    BucketMount("http://127.0.0.1:9", "token", tmp_path).close()

    assert list(tmp_path.iterdir()) == []


def test_a_mount_begins_with_the_first_question(tmp_path: Path) -> None:
    """The answer says when it is ready; its directory is outside of the slot's and goes with it."""
    mount = BucketMount("http://127.0.0.1:9", "token", tmp_path)

    first = mount.reply()
    until(lambda: mount.reply().ready, "the bucket is mounted")
    at = Path(first.path)

    assert (first.reason, at.is_mount(), at.is_relative_to(tmp_path)) == ("", True, False)
    assert mount.reply().path == first.path
    mount.close()
    assert not at.exists()
