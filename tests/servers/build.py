"""Obtain the servers the tests run against: from PATH, from the cache, or built from source.

python tests/servers/build.py [NAME ...]      obtain these (all of them when none is named)
python tests/servers/build.py --where NAME    print the path of one, or fail

`packer/versions.json` has the versions, which node images have, too. Each server has a Go module
next to this file that pins every dependency.
"""

import argparse
import contextlib
import dataclasses
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

MODULES = Path(__file__).resolve().parent
PROGRESS_EVERY_S = 15.0
TAIL_LINES = 30

PINNED = MODULES.parents[1] / "packer" / "versions.json"


def pinned() -> Mapping[str, str]:
    """Return the versions of the servers.

    Modules of tests travel with their jobs, and the file does not: jobs build nothing.
    """
    return json.loads(PINNED.read_text(encoding="utf-8")) if PINNED.exists() else defaultdict(str)


VERSIONS = pinned()

Version = tuple[int, int, int]


class BuildError(Exception):
    """A server could not be built."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one server is recognised and built."""

    name: str
    #: The oldest minor release the tests accept from PATH; the next major one is not trusted.
    oldest: Version
    package: str
    version_argument: str = "version"
    tags: str = ""
    ldflags: str = "-s -w"
    #: Statically linked where nothing needs C, so that a machine without a C compiler can build.
    cgo: bool = False

    @property
    def label(self) -> str:
        """Name and version, as files and messages show them."""
        return f"{self.name}-{VERSIONS[self.name]}"

    def accepts(self, version: Version) -> bool:
        """Tell whether the tests may run against this version."""
        return self.oldest <= version < (self.oldest[0] + 1, 0, 0)

    def command(self, output: Path) -> list[str]:
        """Build the command that writes the server to `output`."""
        tags = ["-tags", self.tags] if self.tags else []
        # No VCS stamp: the tree this runs in says nothing about the server's own version.
        return [
            *("go", "build", "-mod=readonly", "-buildvcs=false", "-trimpath", *tags),
            *("-ldflags", self.ldflags, "-o", str(output), self.package),
        ]


#: In the order of building: what most tests wait for comes first.
RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="consul",
            oldest=(1, 20, 0),
            package="github.com/hashicorp/consul",
        ),
        Recipe(
            name="versitygw",
            oldest=(1, 8, 0),
            package="github.com/versity/versitygw/cmd/versitygw",
            version_argument="--version",
            ldflags=f"-s -w -X main.Version=v{VERSIONS['versitygw']}",
        ),
        Recipe(
            name="nomad",
            oldest=(1, 10, 0),
            package="github.com/hashicorp/nomad",
            tags="ui,release",
            cgo=True,
        ),
        Recipe(
            name="vault",
            oldest=(1, 19, 0),
            package="github.com/hashicorp/vault",
            tags="minimal",
        ),
        Recipe(
            name="nats-server",
            oldest=(2, 15, 0),
            package="github.com/nats-io/nats-server/v2",
            version_argument="--version",
        ),
    )
}


def locate(name: str) -> Path | None:
    """Find a server without building it: on PATH at an accepted version, else in the cache."""
    recipe = RECIPES[name]
    found = shutil.which(name)
    if found is not None and recipe.accepts(_version_of(found, recipe.version_argument)):
        return Path(found)
    cached = _cache() / recipe.label
    return cached if os.access(cached, os.X_OK) else None


def ensure(name: str) -> Path:
    """Find a server, or build it into the cache.

    Raises:
        BuildError: Go is missing, or the build failed; the message ends with the build's output.
    """
    found = locate(name)
    if found is not None:
        return found
    with _build_lock(name):
        # Another run may have built it while this one waited.
        return locate(name) or _build(RECIPES[name])


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(description="Obtain the servers the tests run against.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(RECIPES))
    parser.add_argument("--where", choices=RECIPES, metavar="NAME", help="print where it is")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(RECIPES):
        parser.error(f"no server named {', '.join(sorted(unknown))}; known: {', '.join(RECIPES)}")
    if options.where:
        return _print_where(options.where)
    # A termination then ends the build too, as an interrupt does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for name in options.names or RECIPES:
            print(f"{RECIPES[name].label}: {ensure(name)}")
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _print_where(name: str) -> int:
    found = locate(name)
    if found is None:
        print(f"{name} is neither on PATH nor in the cache; run `make servers`", file=sys.stderr)
        return 1
    print(found)
    return 0


def _cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "picloud" / "servers"


def _version_of(binary: str, argument: str) -> Version:
    """Ask a binary for its version; 0.0.0 when it does not say."""
    try:
        done = subprocess.run(
            [binary, argument], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return (0, 0, 0)
    match = re.search(r"(\d+)\.(\d+)\.(\d+)", done.stdout)
    return (int(match[1]), int(match[2]), int(match[3])) if match else (0, 0, 0)


@contextlib.contextmanager
def _build_lock(name: str) -> Iterator[None]:
    """Hold the one lock under which servers are built, so that builds never run side by side."""
    _cache().mkdir(parents=True, exist_ok=True)
    with (_cache() / "build.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say(f"{name}: waiting for another run that is building")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(recipe: Recipe) -> Path:
    if shutil.which("go") is None:
        raise BuildError(
            f"{recipe.name} is built from source, and `go` is not on PATH: "
            "install Go 1.26 or newer (https://go.dev/dl), "
            f"or put {recipe.name} {'.'.join(map(str, recipe.oldest[:2]))} or newer on PATH."
        )
    target = _cache() / recipe.label
    log = target.with_name(f"{recipe.label}.log")
    _say(f"{recipe.label}: building (minutes, once); output in {log}")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(
        prefix=f".{recipe.label}-", dir=_cache(), ignore_cleanup_errors=True
    ) as work:
        exit_code = _run_build(recipe, Path(work), log)
        if exit_code:
            raise BuildError(_failure(recipe, exit_code, log))
        (Path(work) / recipe.name).rename(target)
    log.unlink()
    _say(f"{recipe.label}: built in {time.monotonic() - started:.0f} s")
    return target


def _run_build(recipe: Recipe, work: Path, log: Path) -> int:
    """Run the build to its end, with a sign of life every few seconds."""
    settings = {"GOWORK": "off", "GOTMPDIR": str(work)}
    if not recipe.cgo:
        settings["CGO_ENABLED"] = "0"
    # Tests and editors on the same machine go first.
    nice = ["nice", "-n", "10"] if shutil.which("nice") else []
    command = [*nice, *recipe.command(work / recipe.name)]
    started = time.monotonic()
    with (
        log.open("wb") as sink,
        _ended_with_us(
            subprocess.Popen(
                command,
                cwd=MODULES / recipe.name,
                env=os.environ | settings,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        ) as build,
    ):
        while True:
            try:
                return build.wait(timeout=PROGRESS_EVERY_S)
            except subprocess.TimeoutExpired:
                _say(f"{recipe.label}: building, {time.monotonic() - started:.0f} s")


@contextlib.contextmanager
def _ended_with_us(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """End the process and the compilers under it when the block is left early."""
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _failure(recipe: Recipe, exit_code: int, log: Path) -> str:
    tail = log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
    sentence = f"{recipe.label} could not be built: go exited with {exit_code}; see {log}."
    return "\n".join([sentence, *(f"    {line}" for line in tail)])


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
