"""The OCI runtime of the tests' dockerd: runc, plus what tests share with their jobs.

Tests and their jobs signal each other through files in `Stack.shared`, and jobs import the modules
of tests and their dependencies. So containers of the common accounts have that directory of the
machine, under the same path, and the packages of the tests' environment after their own. Containers
of other accounts start exactly as a user's do; test_isolation.py examines these.
"""

import json
import sys
import sysconfig
from pathlib import Path
from typing import Any

SHARING = ("a0000001", "a0000002")
"""The accounts of `Stack.key` and `Stack.other_key`."""
PACKAGES = "/opt/packages"
"""Where a container has the packages of the tests."""
LISTED = "/usr/local/lib/python3.11/dist-packages/tests.pth"
"""The file by which the container's Python finds them."""


def script(folder: Path) -> Path:
    """Write the program that dockerd starts containers with; return its path."""
    file = folder / "runtime"
    listed = folder / "tests.pth"
    listed.write_text(f"{PACKAGES}\n")
    this = f"'{sys.executable}' -I '{__file__}' '{listed}'"
    file.write_text(
        f'#!/bin/sh\ncase " $* " in *" create "*) {this} "$@" || exit 1 ;; esac\nexec runc "$@"\n'
    )
    file.chmod(0o755)
    return file


def shared(spec: dict[str, Any]) -> str:
    """Return the directory that a container shares with tests; "" if it is another account's."""
    environment = dict(pair.split("=", 1) for pair in spec["process"]["env"])
    sources = {mount["destination"]: mount.get("source", "") for mount in spec["mounts"]}
    root = sources.get("/alloc", "").partition("/data/")[0]
    if environment.get("NOMAD_META_account") not in SHARING or not Path(root, "shared").is_dir():
        return ""
    return f"{root}/shared"


def mounted(place: str, source: str, *options: str) -> dict[str, Any]:
    """Return the mount of a file or directory of the machine into a container."""
    flags = ["bind", "nosuid", "nodev", *options]
    return {"destination": place, "source": source, "type": "bind", "options": flags}


def main() -> None:
    """Add the shared directory and the packages to the container that is about to be created."""
    listed = sys.argv[1]
    file = Path(sys.argv[sys.argv.index("--bundle") + 1], "config.json")
    spec = json.loads(file.read_text())
    if place := shared(spec):
        packages = sysconfig.get_path("purelib")
        spec["mounts"] += [
            mounted(place, place, "rw", "noexec"),
            mounted(PACKAGES, packages, "ro"),
            mounted(LISTED, listed, "ro"),
        ]
        file.write_text(json.dumps(spec))


if __name__ == "__main__":
    main()
