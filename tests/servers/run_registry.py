"""A registry of images for a test: Debian's docker-registry, over a bucket of an S3 server.

python -m tests.servers.run_registry        install the program, if this is Debian and root runs it
"""

import base64
import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
from botocore.client import Config

from tests.servers.process import (
    HOST,
    MissingServerError,
    ServerProcess,
    free_ports,
    scratch,
    server,
)
from tests.servers.run_versitygw import S3, versitygw

CONFIG = Path(__file__).resolve().parents[2] / "packer" / "registry"
BUCKET = "picloud-images"
#: With what `htpasswd -Bbn USER PASSWORD` prints: the registry reads no other kind.
PASSWORDS = {
    "push": ("pushes", "$2b$04$abcdefghijklmnopqrstuuMQWytcd65/L3B1LXcm/wssfeKq6gIR6"),
    "pull": ("pulls", "$2b$04$abcdefghijklmnopqrstuubnSsZSEMcJn7RC5X9M4THTRqGoga3pm"),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Registry:
    """Two processes over the same bucket: one that is pushed to, and one that changes nothing."""

    push: str
    """host:port of the first."""
    pull: str
    server_login: Path
    """A directory with the passwords of both, for the client of docker."""
    machine_login: Path
    """That of the second only; and the file `login` for `docker-credential-picloud`."""
    machine: tuple[str, str]
    """The user and the password that it has."""
    s3: S3
    processes: dict[str, ServerProcess]


@contextlib.contextmanager
def registry() -> Iterator[Registry]:
    """Run a registry with its S3 server."""
    program = shutil.which("docker-registry")
    if program is None:
        raise MissingServerError("docker-registry is not on PATH; run `make images` once")
    with versitygw() as s3, scratch("registry") as directory, contextlib.ExitStack() as opened:
        _make_bucket(s3)
        addresses, processes = {}, {}
        for kind, port in zip(("push", "pull"), free_ports(2), strict=True):
            addresses[kind] = f"{HOST}:{port}"
            folder = directory / kind
            folder.mkdir()
            command = [program, "serve", str(CONFIG / f"{kind}.yml")]
            processes[kind] = opened.enter_context(
                server(
                    command,
                    directory=folder,
                    url=f"http://{addresses[kind]}/v2/",
                    status=r"^401$",
                    environment=_variables(s3, folder, kind, addresses[kind]),
                )
            )
        yield Registry(
            push=addresses["push"],
            pull=addresses["pull"],
            server_login=_login(directory / "server", addresses),
            machine_login=_login(directory / "machine", {"pull": addresses["pull"]}),
            machine=("pull", PASSWORDS["pull"][0]),
            s3=s3,
            processes=processes,
        )


def _variables(s3: S3, folder: Path, kind: str, address: str) -> dict[str, str]:
    user, (_, encrypted) = kind, PASSWORDS[kind]
    passwords = folder / "htpasswd"
    passwords.write_text(f"{user}:{encrypted}\n")
    return {
        "REGISTRY_HTTP_ADDR": address,
        "REGISTRY_HTTP_SECRET": "of both",
        "REGISTRY_AUTH_HTPASSWD_PATH": str(passwords),
        "REGISTRY_STORAGE_S3_BUCKET": BUCKET,
        "REGISTRY_STORAGE_S3_REGION": s3.region,
        "REGISTRY_STORAGE_S3_REGIONENDPOINT": s3.endpoint,
        "REGISTRY_STORAGE_S3_ACCESSKEY": s3.access_key,
        "REGISTRY_STORAGE_S3_SECRETKEY": s3.secret_key,
    }


def _login(folder: Path, addresses: dict[str, str]) -> Path:
    folder.mkdir()
    found = {}
    for kind, address in addresses.items():
        password = PASSWORDS[kind][0]
        found[address] = {"auth": base64.b64encode(f"{kind}:{password}".encode()).decode()}
        (folder / "login").write_text(f"{address}\n{kind}\n{password}\n")
    (folder / "config.json").write_text(json.dumps({"auths": found}))
    return folder


def _make_bucket(s3: S3) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=s3.endpoint,
        region_name=s3.region,
        aws_access_key_id=s3.access_key,
        aws_secret_access_key=s3.secret_key,
        config=Config(s3={"addressing_style": "path"}),
    )
    client.create_bucket(Bucket=BUCKET)
    client.close()


def main() -> int:
    """Run the command and return its exit code."""
    if shutil.which("docker-registry"):
        return 0
    if os.geteuid() or shutil.which("apt-get") is None:
        print("docker-registry is missing: install it from your system's packages", file=sys.stderr)
        return 1
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends"]
    return subprocess.run([*command, "docker-registry"], env=quiet, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
