"""The node image, built by Packer from what the tests run against.

python -m tests.infra.node_image parts DIR      collect what `packer/node.pkr.hcl` takes
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.servers.build import BuildError, ensure
from tests.servers.image import BASE, ImageError, download_wheels, ensure_rootfs, packer_build

if TYPE_CHECKING:
    from tests.servers.run_dockerd import Dockerd

PROGRAMS: Final = ("consul", "nats-server", "nomad", "vault")
IMAGE: Final = "picloud/node:bookworm"


def collect(folder: Path) -> None:
    """Put programs and wheels into a directory.

    Raises:
        BuildError: When a program cannot be built.
        ImageError: When a wheel cannot be had.
    """
    programs = folder / "programs"
    programs.mkdir(parents=True, exist_ok=True)
    for name in PROGRAMS:
        shutil.copy(ensure(name), programs / name)
    download_wheels(folder / "wheels", "cli,server,hashicorp")


def build(daemon: Dockerd) -> str:
    """Build the image with the source docker; return its name.

    Raises:
        BuildError: When a program cannot be built.
        ImageError: When Packer fails; has the end of what it printed.
    """
    daemon.docker("import", str(ensure_rootfs()), BASE)
    with tempfile.TemporaryDirectory(prefix="picloud-node-") as folder:
        collect(Path(folder))
        packer_build(daemon, "node.pkr.hcl", {"parts": folder}, "-only=docker.node")
    return IMAGE


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    match arguments:
        case ["parts", folder]:
            try:
                collect(Path(folder))
            except (BuildError, ImageError) as error:
                print(error, file=sys.stderr)
                return 1
            return 0
    print((__doc__ or "").strip(), file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
