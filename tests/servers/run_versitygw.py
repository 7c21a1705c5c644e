"""An S3 server for a test: versitygw over a directory."""

import contextlib
import dataclasses
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from tests.servers.process import HOST, ServerProcess, binary, free_ports, scratch, server


@dataclasses.dataclass(frozen=True, kw_only=True)
class S3:
    """A running S3 server, without buckets."""

    endpoint: str
    region: str
    access_key: str
    secret_key: str = dataclasses.field(repr=False)
    directory: Path
    process: ServerProcess


@contextlib.contextmanager
def versitygw(*, region: str = "us-east-1", users: bool = False) -> Iterator[S3]:
    """Run one versitygw; its data outlives `process.kill()` and `process.start()`.

    Args:
        region: Of its buckets.
        users: Whether its administrator can make users.
    """
    with scratch("versitygw") as directory:
        (port,) = free_ports(1)
        access_key, secret_key = secrets.token_hex(10), secrets.token_hex(20)
        endpoint = f"http://{HOST}:{port}"
        accounts = []
        if users:
            (directory / "accounts").mkdir()
            accounts = ["--iam-dir", str(directory / "accounts")]
        # In the environment, for arguments are shown to every user of the machine.
        environment = {"ROOT_ACCESS_KEY_ID": access_key, "ROOT_SECRET_ACCESS_KEY": secret_key}
        with server(
            [binary("versitygw"), *_options(port, region), *accounts, *_posix(directory)],
            directory=directory,
            url=f"{endpoint}/health",
            environment=environment,
        ) as process:
            yield S3(
                endpoint=endpoint,
                region=region,
                access_key=access_key,
                secret_key=secret_key,
                directory=directory,
                process=process,
            )


def _options(port: int, region: str) -> list[str]:
    return [
        *("--port", f"{HOST}:{port}"),
        *("--region", region),
        *("--health", "/health"),
        "--keep-alive",
        "--quiet",
    ]


def _posix(directory: Path) -> list[str]:
    """Serve a new directory; object versions are in another one."""
    data, versions, metadata = (directory / name for name in ("data", "versions", "metadata"))
    for path in (data, versions, metadata):
        path.mkdir()
    sidecar = [] if _has_xattrs(data) else ["--sidecar", str(metadata)]
    return ["posix", "--versioning-dir", str(versions), *sidecar, str(data)]


def _has_xattrs(path: Path) -> bool:
    """Whether the file system supports extended attributes; some temporary ones do not."""
    try:
        os.setxattr(path, "user.picloud", b"")
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        return False
    os.removexattr(path, "user.picloud")
    return True
