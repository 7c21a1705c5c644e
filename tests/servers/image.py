"""Build the bases of slots in containers, such as `base/bookworm`, once: `make images`.

python -m tests.servers.image       build or find them; give them to a dockerd that runs

The cache is next to that of the servers; an image is named there by a digest of all it is made of.
"""

import contextlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path

from picloud_driver.docker.slot_base import BASES, SlotBase
from picloud_driver.stack import image

from tests.servers.build import _build_lock, _cache, _say
from tests.servers.run_dockerd import Dockerd, MissingDockerError, dockerd

ROOT = Path(__file__).resolve().parents[2]
RECIPES = ("packer/environment.pkr.hcl", "tests/servers/image.py", "pyproject.toml")
#: Programs, and Debian's packages they are in.
NEEDED = {
    "dockerd": "docker.io",
    "docker": "docker.io",
    "packer": "packer",
    "debootstrap": "debootstrap",
    "iptables": "iptables",
    "fusermount3": "fuse3",  # not for the image: jobs have their bucket as files
}
DEFAULT = BASES[0]
BASE = f"picloud/rootfs:{DEFAULT.suite}"
MIRROR = "http://deb.debian.org/debian"
DROPPED = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "var/cache/apt",
    "var/lib/apt/lists",
)
OPTIONS = ("--variant=minbase", "--include=python3,ca-certificates,rsync")
KEPT = 4
_ADMIN = "/usr/local/sbin:/usr/sbin:/sbin"


class ImageError(Exception):
    """The image could not be built; one sentence says why."""


def cached(base: SlotBase = DEFAULT) -> Path:
    """Return the path of an image, which is named by a digest of all that goes into it."""
    tag = image.tag(base.suite)
    digest = sha256(tag.encode())
    for name in RECIPES:
        digest.update((ROOT / name).read_bytes())
    return _cache().parent / "images" / f"{tag}-{digest.hexdigest()[:12]}.tar"


def load(daemon: Dockerd, base: SlotBase = DEFAULT) -> str:
    """Load an image into a dockerd; return its name.

    Raises:
        ImageError: When it has not been built.
    """
    file = cached(base)
    if not file.exists():
        raise ImageError(f"The image of {_name(base)} is not built; run `make images` once.")
    daemon.docker("load", "--quiet", "--input", str(file))
    return image.reference(base.suite)


def ensure(base: SlotBase) -> Path:
    """Find an image, or build it.

    Raises:
        ImageError: When something is missing, or a step fails.
    """
    file = cached(base)
    if file.exists():
        return file
    with _build_lock(_name(base)):
        return file if file.exists() else _build(base, file)


def main() -> int:
    """Run the command and return its exit code."""
    try:
        _get_programs()
        files = {base: ensure(base) for base in BASES}
        for base, file in files.items():
            print(f"{_name(base)}: {file}")
        _offer(files)
    except (ImageError, MissingDockerError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _get_programs() -> None:
    path = os.pathsep.join((os.environ.get("PATH", ""), _ADMIN))
    missing = [name for name in NEEDED if shutil.which(name, path=path) is None]
    if not missing:
        return
    packages = sorted({NEEDED[name] for name in missing})
    told = f"The bases need {', '.join(missing)}"
    if os.geteuid() or shutil.which("apt-get") is None:
        raise ImageError(
            f"{told}: install them from your system's packages (on Debian: apt-get install"
            f" {' '.join(packages)}), and run `make images` as root."
        )
    _say(f"{told}: installing {' '.join(packages)} by apt-get")
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    run("apt-get", "update", "--quiet", environment=quiet)
    command = ("apt-get", "install", "--yes", "--quiet", "--no-install-recommends")
    run(*command, *packages, environment=quiet)


def _name(base: SlotBase) -> str:
    return f"base/{base.suite}"


def _build(base: SlotBase, file: Path) -> Path:
    if os.geteuid():
        raise ImageError("Bases are made with debootstrap, as root: run `make images` so.")
    started = time.monotonic()
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="picloud-image-") as work, dockerd() as daemon:
        wheels = Path(work, "wheels")
        what = "wheels of worker and command, of what they need, and of numpy and Pillow"
        with _step(base, what):
            download_wheels(wheels, "cli,base,slot", base)
        rootfs = ensure_rootfs(base)
        with _step(base, "packer build"):
            imported = f"picloud/rootfs:{base.suite}"
            daemon.docker("import", str(rootfs), imported)
            values = {"base": imported, "wheels": wheels, "repository": image.REPOSITORY}
            values |= {"suite": base.suite, "python": base.version, "tag": image.tag(base.suite)}
            packer_build(daemon, "environment.pkr.hcl", values)
        with _step(base, "storing the image"):
            partial = file.with_suffix(".part")
            daemon.docker("save", "--output", str(partial), image.reference(base.suite))
            partial.rename(file)
    _say(f"{_name(base)}: built in {time.monotonic() - started:.0f} s")
    _forget(file.parent, base)
    return file


def ensure_rootfs(base: SlotBase = DEFAULT) -> Path:
    """Find the root file system of Debian, or make it; it does not depend on the worker.

    Raises:
        ImageError: When it cannot be made.
    """
    made_of = (base.suite, MIRROR, DROPPED, OPTIONS, platform.machine())
    digest = sha256(repr(made_of).encode())
    file = cached().with_name(f"rootfs-{digest.hexdigest()[:12]}.tar")
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        with (
            _step(base, f"Debian {base.suite} by debootstrap (a minute, once)"),
            tempfile.TemporaryDirectory(prefix="picloud-rootfs-") as folder,
        ):
            _rootfs(base, Path(folder), file)
    return file


def _forget(folder: Path, base: SlotBase) -> None:
    """Drop images of workers of long ago."""
    images = sorted(folder.glob(f"{base.suite}-*.tar"), key=lambda path: path.stat().st_mtime)
    for old in images[:-KEPT]:
        old.unlink(missing_ok=True)


def download_wheels(folder: Path, extras: str, base: SlotBase = DEFAULT) -> None:
    """Make the project's wheel; download those that it needs on a base's Python, and pip.

    Raises:
        ImageError: When a command fails.
    """
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    run(*pip, "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT))
    (ours,) = folder.glob("picloud-*.whl")
    made_for = ("--only-binary=:all:", "--python-version", base.version, "--implementation", "cp")
    machine = platform.machine()
    platforms = (f"manylinux2014_{machine}", f"manylinux_2_28_{machine}")
    made_for += tuple(word for name in platforms for word in ("--platform", name))
    made_for += ("--constraint", str(ROOT / "constraints.txt"))
    run(*pip, "download", "--dest", str(folder), *made_for, f"{ours}[{extras}]", "pip")


def _rootfs(base: SlotBase, folder: Path, file: Path) -> None:
    run("debootstrap", *OPTIONS, base.suite, str(folder), MIRROR)
    excluded = [f"--exclude=./{name}/*" for name in DROPPED]
    partial = file.with_suffix(".part")
    run("tar", "-C", str(folder), *excluded, "-cf", str(partial), ".")
    partial.rename(file)


def packer_build(daemon: Dockerd, recipe: str, values: Mapping[str, object], *more: str) -> None:
    """Run `packer build` with a dockerd.

    Args:
        daemon: Where images are made.
        recipe: The name of a file in `packer/`.
        values: The values of its variables.
        more: Further options.

    Raises:
        ImageError: When the image cannot be built.
    """
    chosen = [f"-var={name}={value}" for name, value in values.items()]
    environment = os.environ | {"DOCKER_HOST": daemon.host, "CHECKPOINT_DISABLE": "1"}
    command = ("packer", "build", "-color=false", *more, *chosen, str(ROOT / "packer" / recipe))
    run(*command, environment=environment)


def _offer(files: Mapping[SlotBase, Path]) -> None:
    """Load images into the dockerd that this machine runs, if any, for `picloud up`."""
    path = os.pathsep.join((os.environ.get("PATH", ""), _ADMIN))
    docker = shutil.which("docker", path=path) or "docker"
    asked = subprocess.run([docker, "info"], capture_output=True, check=False)
    if asked.returncode:
        print("No dockerd runs here; start it and run `make images` again to use it there.")
        return
    for base, file in files.items():
        run(docker, "load", "--quiet", "--input", str(file))
        print(f"The dockerd of this machine has {image.reference(base.suite)}.")


@contextlib.contextmanager
def _step(base: SlotBase, what: str) -> Iterator[None]:
    _say(f"{_name(base)}: {what}")
    started = time.monotonic()
    yield
    _say(f"{_name(base)}:   {time.monotonic() - started:.0f} s")


def run(*command: str, environment: dict[str, str] | None = None) -> None:
    """Run a command to its end.

    Raises:
        ImageError: When it fails; has the end of what it printed.
    """
    environment = dict(environment or os.environ)
    environment["PATH"] = os.pathsep.join((environment.get("PATH", ""), _ADMIN))
    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        tail = "\n".join(f"    {line}" for line in done.stdout.splitlines()[-30:])
        raise ImageError(f"{command[0]} failed with status {done.returncode}:\n{tail}")


if __name__ == "__main__":
    sys.exit(main())
