"""What the tests' own dockerd starts containers with: runc, and what tests share with their jobs.

Tests and their jobs tell each other by files of `Stack.shared` when to go on, and jobs import the
modules of tests, thus what these import. So containers of the common accounts have that directory
of the machine, under the same path, and the packages of the tests' environment behind their own.
Those of other accounts are started exactly as a user's: test_isolation.py looks at these.
"""

import json
import sys
import sysconfig
from pathlib import Path
from typing import Any

SHARING = ("a0000001", "a0000002")
"""The accounts of `Stack.key` and `Stack.other_key`."""
PACKAGES = "/opt/packages"
"""Where a container has those of the tests."""
LISTED = "/usr/local/lib/python3.11/dist-packages/tests.pth"
"""The file by which its Python finds them."""


def script(folder: Path) -> Path:
    """Write the program that dockerd is to call."""
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
    """The directory that a container shares with tests; "" where it is not one of theirs."""
    environment = dict(pair.split("=", 1) for pair in spec["process"]["env"])
    sources = {mount["destination"]: mount.get("source", "") for mount in spec["mounts"]}
    root = sources.get("/alloc", "").partition("/data/")[0]
    if environment.get("NOMAD_META_account") not in SHARING or not Path(root, "shared").is_dir():
        return ""
    return f"{root}/shared"


def mounted(place: str, source: str, *options: str) -> dict[str, Any]:
    """A file or directory of the machine in a container."""
    told = ["bind", "nosuid", "nodev", *options]
    return {"destination": place, "source": source, "type": "bind", "options": told}


def main() -> None:
    """Add these to the container that is about to be made."""
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
