"""The build of a container image: steps in a container of the slots' image, then a snapshot of it.

Debian's packages are installed by root, before anything else runs there. Everything that a recipe
brings runs as a user without rights, who can write to the directory of the environment only: what
slots start as root is never of a recipe.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.wire.environment import Recipe

from picloud_driver.image import worker_packages
from picloud_driver.image.build_log import BuildLog
from picloud_driver.image.build_step import (
    BuildFailedError,
    BuildStep,
    no_program,
    numbered,
)
from picloud_driver.image.containers.container_tools import TOOLS, UV, ContainerTools
from picloud_driver.image.port import Image, ImageState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


ENVIRONMENT: Final = "/opt/environment"
"""The directory of an environment in its image: `sys.prefix` in a job."""
_PYTHON: Final = f"{ENVIRONMENT}/bin/python"
_HOME: Final = "/tmp"  # noqa: S108 - in a container of its own
_NOBODY: Final = "65534:65534"
LIMITS: Final = (
    *("--cap-drop", "NET_RAW", "--cap-drop", "MKNOD", "--security-opt", "no-new-privileges"),
    *("--pids-limit", "1024", "--memory", "2g", "--memory-swap", "2g"),
)
"""The options of a container in which root installs packages: docker's rights of root, less two."""
_LASTS_S: Final = "14400"
"""Seconds after which the container of a build whose server was killed ends by itself."""
_SYSTEM_PATH: Final = "/usr/local/bin:/usr/bin:/bin"
ROOT_PATH: Final = f"/usr/local/sbin:/usr/sbin:/sbin:{_SYSTEM_PATH}"
_CLIENT_PATH: Final = f"{_SYSTEM_PATH}:/usr/sbin:/sbin"
_MAKE_FOLDER: Final = ("install", "-d", "-o", "65534", "-g", "65534", ENVIRONMENT)
AS_BASE: Final = ("--change", 'CMD ["python3"]')
_MISSING: Final = "executable file not found in $PATH"
_APT: Final = (
    *("apt-get", "--quiet", "-o", "Dpkg::Use-Pty=0", "-o", "Acquire::Languages=none"),
    *("-o", "APT::Update::Error-Mode=any"),
)
_INSTALL: Final = ("install", "--yes", "--no-install-recommends", "--no-remove", "--")
# No program of an image is setuid, and what is temporary is not part of it.
_TIDY: Final = (
    "find /tmp /var/tmp /var/lib/apt/lists /var/cache/apt -xdev -mindepth 1 -delete; "
    "find / -xdev -perm /6000 -type f -exec chmod a-s {} +"
)


FREEZE: Final = (UV, "pip", "freeze", "--python", _PYTHON)
WORKER: Final = ("/usr/bin/python3", *worker_packages.IMPORT)
LIST_DEBIAN: Final = ("dpkg-query", "--show", "--showformat", "${Package}=${Version}\n")


class BuildContainer(msgspec.Struct, frozen=True, kw_only=True):
    """The container of a build: runs commands in it, and logs what they print.

    `host` is the address of dockerd, and `folder` a directory of the build.
    """

    host: str
    name: str
    log: BuildLog
    folder: Path

    async def docker(
        self,
        what: str,
        arguments: Sequence[str],
        variables: Mapping[str, str] | None = None,
        *,
        shown: bool = False,
    ) -> bytes:
        """Run the docker client.

        Raises:
            BuildFailedError: When it fails; `what` begins its message.
        """
        own = {"PATH": _CLIENT_PATH, "HOME": str(self.folder), "DOCKER_HOST": self.host}
        step = BuildStep(
            what=what,
            command=["docker", *arguments],
            variables={**(variables or {}), **own},
            folder=self.folder,
            shown=shown,
        )
        return await step.run(self.log)

    async def as_root(
        self, what: str, command: Sequence[str], variables: Mapping[str, str] | None = None
    ) -> bytes:
        """Run a command of the platform's own, as root; return what it prints."""
        options = ["--workdir", "/", "--env", f"PATH={ROOT_PATH}"]
        return await self._exec(what, options, command, variables or {})

    async def as_nobody(
        self,
        what: str,
        command: Sequence[str],
        variables: Mapping[str, str] | None = None,
        *,
        folder: str = _HOME,
    ) -> bytes:
        """Run a command as a user without rights; return what it prints to standard output."""
        path = f"PATH={ENVIRONMENT}/bin:{_SYSTEM_PATH}"
        options = ["--user", _NOBODY, "--workdir", folder, "--env", path]
        return await self._exec(what, options, command, variables or {})

    async def remove(self) -> None:
        """Remove the container, if it exists."""
        with contextlib.suppress(BuildFailedError):
            await self.docker("remove the container", ["rm", "--force", self.name])

    async def _exec(
        self,
        what: str,
        options: Sequence[str],
        command: Sequence[str],
        variables: Mapping[str, str],
    ) -> bytes:
        # Names only: what is in an argument is seen by every user of the machine.
        names = [word for name in variables for word in ("--env", name)]
        arguments = ["exec", *options, "--env", f"HOME={_HOME}", *names, self.name, *command]
        try:
            return await self.docker(what, arguments, variables, shown=bool(what))
        except BuildFailedError as failure:
            if _MISSING in str(failure):
                raise BuildFailedError(no_program(what, command[0])) from None
            raise


class DockerBuild(msgspec.Struct, frozen=True, kw_only=True):
    """The build of one image.

    `host` is the address of dockerd, `network` the one that slots use, `base` the image of slots,
    and `target` the full name of the image to make. `tools` is what it finds of this machine.
    """

    host: str
    network: str
    base: str
    target: str
    recipe: Recipe
    tools: ContainerTools

    async def run(self, log: BuildLog, scratch: Path) -> Image:
        """Build the image.

        Raises:
            BuildFailedError: When a step fails.
            OSError: When a file cannot be written.
        """
        self._write(scratch)
        name = f"{self.network}-build-{self.target.rpartition(':')[2][:32]}"
        start = ["run", "--detach", "--rm", "--name", name, "--network", self.network]
        start += [*LIMITS]
        start += self.tools.mounts({"recipe": scratch / "recipe"})
        start += ["--entrypoint", "", self.base, "/bin/sleep", _LASTS_S]
        container = BuildContainer(host=self.host, name=name, log=log, folder=scratch)
        # A build that was interrupted has left it.
        await container.remove()
        try:
            await container.docker("start a container", start)
            details = await self._install(container)
            await container.docker("store the image", ["commit", *AS_BASE, name, self.target])
        finally:
            await container.remove()
        return details

    async def _install(self, container: BuildContainer) -> Image:
        added: list[str] = []
        if self.recipe.apt:
            before = await debian_packages(container)
            quiet = {"DEBIAN_FRONTEND": "noninteractive", **self.tools.proxies()}
            await container.as_root("list Debian packages", [*_APT, "update"], quiet)
            wanted = [*_APT, *_INSTALL, *sorted(self.recipe.apt)]
            await container.as_root("install Debian packages", wanted, quiet)
            added = sorted(await debian_packages(container) - before)
        variables = self.tools.settings()
        uv = UV
        make = [uv, "venv", "--no-project", "--system-site-packages", "--python", "python3"]
        await container.as_root("make the environment", _MAKE_FOLDER)
        await container.as_nobody("make its Python", [*make, ENVIRONMENT], variables)
        if self.recipe.pip:
            install = [uv, "pip", "install", "--python", _PYTHON]
            install += ["--constraints", f"{TOOLS}/recipe/constraints.txt"]
            install += ["--requirements", f"{TOOLS}/recipe/requirements.txt"]
            await container.as_nobody("install packages", install, variables)
        if self.recipe.files:
            copy = ["cp", "--recursive", f"{TOOLS}/recipe/files/.", ENVIRONMENT]
            await container.as_nobody("copy files", copy)
        inside = {"VIRTUAL_ENV": ENVIRONMENT}
        for what, command in numbered(self.recipe.commands):
            await container.as_nobody(what, command, inside, folder=ENVIRONMENT)
        if self.recipe.test:
            await container.as_nobody("test", self.recipe.test, inside)
        if self.recipe.apt:  # nothing else of a recipe changes files of the system
            await container.as_nobody(worker_packages.CHECK, WORKER)
        listed = await container.as_nobody("list packages", FREEZE, variables)
        await container.as_root("remove temporary files", ["sh", "-c", _TIDY])
        inspect = ["container", "inspect", "--size", "--format", "{{.SizeRw}}", container.name]
        return Image(
            state=ImageState.READY,
            packages=lines(listed),
            apt=added,
            size=int(await container.docker("measure the image", inspect)),
        )

    def _write(self, scratch: Path) -> None:
        """Write what the build reads of its recipe."""
        recipe = scratch / "recipe"
        (recipe / "files").mkdir(parents=True)
        (recipe / "requirements.txt").write_text("".join(f"{each}\n" for each in self.recipe.pip))
        (recipe / "constraints.txt").write_text(worker_packages.constraints())
        for path, text in self.recipe.files.items():
            file = recipe / "files" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        for above, _, names in os.walk(recipe):
            # Whatever the umask of the server.
            Path(above).chmod(0o755)
            for name in names:
                Path(above, name).chmod(0o644)


async def debian_packages(container: BuildContainer) -> set[str]:
    """Return the Debian packages in a container, each as `name=version`."""
    return {*lines(await container.as_root("", LIST_DEBIAN))}


def lines(printed: bytes) -> list[str]:
    r"""Return the lines that a command has printed, in order.

    >>> lines(b"six==1.16\nidna==3.10\n")
    ['idna==3.10', 'six==1.16']
    """
    return sorted(each for each in printed.decode(errors="replace").split("\n") if each)
