"""Mount the bucket of an account: `python -m picloud_worker.mount --url URL --at DIRECTORY`.

The token is the first line of the standard input. The process ends when it is unmounted, and a
SIGTERM unmounts.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import Final

from mfusepy import FUSE

from picloud_worker.api.client import ApiClient
from picloud_worker.mount.client import MountClient
from picloud_worker.mount.filesystem import REQUEST_BYTES, BucketFileSystem
from picloud_worker.system import process_lifetime

_SIGNALLED: Final = 8
"""What libfuse returns when a signal ended it, after it has unmounted."""


def main() -> None:
    """Mount until the process is terminated."""
    parser = argparse.ArgumentParser(prog="picloud_worker.mount", description="Mount a bucket.")
    parser.add_argument("--url", required=True, help="where the API listens")
    parser.add_argument("--at", required=True, type=Path, help="an empty directory")
    parser.add_argument("--copies", required=True, help="where to keep files that are written")
    options = parser.parse_args()
    process_lifetime.set_parent_death_signal(os.getppid(), signal.SIGTERM)
    process_lifetime.hide_memory()
    token = sys.stdin.readline().strip()
    client = MountClient(ApiClient(options.url), token)
    owner = (os.getuid(), os.getgid())
    try:
        FUSE(
            BucketFileSystem(client, options.copies, owner),
            str(options.at),
            foreground=True,
            nothreads=False,
            fsname="picloud",
            subtype="bucket",
            max_read=REQUEST_BYTES,
            nosuid=True,
            nodev=True,
            attr_timeout=0,
            entry_timeout=0,
            negative_timeout=0,
        )
    except RuntimeError as error:
        if error.args != (_SIGNALLED,):
            raise


if __name__ == "__main__":
    main()
