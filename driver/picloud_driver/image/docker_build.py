"""The build of a container image: steps in a container of the slots' image, then a snapshot of it.

Debian's packages are installed by root, before anything else runs there. Everything that a recipe
brings runs as a user without rights, who can write to the directory of the environment only: what
slots start as root is never of a recipe.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
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
from picloud_driver.image.port import Image, ImageState

if TYPE_CHECKING:
    from collections.abc import Sequence


ENVIRONMENT: Final = "/opt/environment"
"""The directory of an environment in its image: `sys.prefix` in a job."""
_TOOLS: Final = "/opt/build"
"""Where a build finds uv and the files of its recipe."""
_PYTHON: Final = f"{ENVIRONMENT}/bin/python"
_HOME: Final = "/tmp"  # noqa: S108 - in a container of its own
_NOBODY: Final = "65534:65534"
_MEMORY: Final = "2g"
_PROCESSES: Final = "1024"
_LASTS_S: Final = "14400"
"""Seconds after which the container of a build whose server was killed ends by itself."""
_SYSTEM_PATH: Final = "/usr/local/bin:/usr/bin:/bin"
_ROOT_PATH: Final = f"/usr/local/sbin:/usr/sbin:/sbin:{_SYSTEM_PATH}"
_CLIENT_PATH: Final = f"{_SYSTEM_PATH}:/usr/sbin:/sbin"
_OF_MACHINE: Final = ("PATH", "LANG", "LC_ALL", "SSL_CERT_FILE", "SSL_CERT_DIR", "UV_CACHE_DIR")
"""The variables of the server whose values mean something on its machine only."""
_CERTIFICATES: Final = "/etc/ssl/certs/ca-certificates.crt"
_MAKE_FOLDER: Final = ("install", "-d", "-o", "65534", "-g", "65534", ENVIRONMENT)
_AS_BASE: Final = ("--change", 'CMD ["python3"]')
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
    ) -> None:
        """Run a command of the platform's own, as root."""
        options = ["--workdir", "/", "--env", f"PATH={_ROOT_PATH}"]
        await self._exec(what, options, command, variables or {})

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
            return await self.docker(what, arguments, variables, shown=True)
        except BuildFailedError as failure:
            if _MISSING in str(failure):
                raise BuildFailedError(no_program(what, command[0])) from None
            raise


class DockerBuild(msgspec.Struct, frozen=True, kw_only=True):
    """The build of one image.

    `host` is the address of dockerd, `network` the one that slots use, `base` the image of slots,
    and `target` the full name of the image to make. `uv` is the program, and `variables` are
    settings for its downloads.
    """

    host: str
    network: str
    base: str
    target: str
    recipe: Recipe
    uv: str
    variables: Mapping[str, str]

    async def run(self, log: BuildLog, scratch: Path) -> Image:
        """Build the image.

        Raises:
            BuildFailedError: When a step fails.
            OSError: When a file cannot be written.
        """
        self._write(scratch)
        name = f"{self.network}-build-{self.target.rpartition(':')[2][:32]}"
        start = ["run", "--detach", "--rm", "--name", name, "--network", self.network]
        start += ["--cap-drop", "NET_RAW", "--cap-drop", "MKNOD"]
        start += ["--security-opt", "no-new-privileges", "--pids-limit", _PROCESSES]
        start += ["--memory", _MEMORY, "--memory-swap", _MEMORY, *self._mounts(scratch)]
        start += ["--entrypoint", "", self.base, "/bin/sleep", _LASTS_S]
        container = BuildContainer(host=self.host, name=name, log=log, folder=scratch)
        # A build that was interrupted has left it.
        await container.remove()
        try:
            await container.docker("start a container", start)
            details = await self._install(container)
            await container.docker("store the image", ["commit", *_AS_BASE, name, self.target])
        finally:
            await container.remove()
        return details

    async def _install(self, container: BuildContainer) -> Image:
        if self.recipe.apt:
            quiet = {"DEBIAN_FRONTEND": "noninteractive", **self._proxies()}
            await container.as_root("list Debian packages", [*_APT, "update"], quiet)
            wanted = [*_APT, *_INSTALL, *sorted(self.recipe.apt)]
            await container.as_root("install Debian packages", wanted, quiet)
        variables = self._settings()
        uv = f"{_TOOLS}/uv"
        make = [uv, "venv", "--no-project", "--system-site-packages", "--python", "python3"]
        await container.as_root("make the environment", _MAKE_FOLDER)
        await container.as_nobody("make its Python", [*make, ENVIRONMENT], variables)
        if self.recipe.pip:
            install = [uv, "pip", "install", "--link-mode", "copy", "--python", _PYTHON]
            install += ["--constraints", f"{_TOOLS}/recipe/constraints.txt"]
            install += ["--requirements", f"{_TOOLS}/recipe/requirements.txt"]
            await container.as_nobody("install packages", install, variables)
        if self.recipe.files:
            copy = ["cp", "--recursive", f"{_TOOLS}/recipe/files/.", ENVIRONMENT]
            await container.as_nobody("copy files", copy)
        inside = {"VIRTUAL_ENV": ENVIRONMENT}
        for what, command in numbered(self.recipe.commands):
            await container.as_nobody(what, command, inside, folder=ENVIRONMENT)
        if self.recipe.test:
            await container.as_nobody("test", self.recipe.test, inside)
        freeze = [uv, "pip", "freeze", "--python", _PYTHON]
        listed = await container.as_nobody("list packages", freeze, variables)
        await container.as_root("remove temporary files", ["sh", "-c", _TIDY])
        inspect = ["container", "inspect", "--size", "--format", "{{.SizeRw}}", container.name]
        return Image(
            state=ImageState.READY,
            packages=sorted(each for each in listed.decode().split("\n") if each),
            size=int(await container.docker("measure the image", inspect)),
        )

    def _settings(self) -> dict[str, str]:
        """Return the variables of uv in the container."""
        certificates = self._certificates()
        return {
            **{name: self.variables[name] for name in self.variables if name not in _OF_MACHINE},
            **({"SSL_CERT_FILE": f"{_TOOLS}/certificates"} if certificates else {}),
            "UV_NO_CACHE": "1",
            "UV_NO_PROGRESS": "1",
            "UV_PYTHON_DOWNLOADS": "never",
        }

    def _certificates(self) -> Path | None:
        """Return the file of the authorities that this machine trusts."""
        file = Path(self.variables.get("SSL_CERT_FILE", _CERTIFICATES))
        return file.resolve() if file.exists() else None

    def _write(self, scratch: Path) -> None:
        """Write what the build reads of its recipe."""
        recipe = scratch / "recipe"
        (recipe / "files").mkdir(parents=True)
        (recipe / "requirements.txt").write_text("".join(f"{each}\n" for each in self.recipe.pip))
        limits = "".join(f"{each}\n" for each in worker_packages.constraints())
        (recipe / "constraints.txt").write_text(limits)
        for path, text in self.recipe.files.items():
            file = recipe / "files" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        for above, _, names in os.walk(recipe):
            # Whatever the umask of the server.
            Path(above).chmod(0o755)
            for name in names:
                Path(above, name).chmod(0o644)

    def _mounts(self, scratch: Path) -> list[str]:
        mounts = {f"{_TOOLS}/uv": self.uv, f"{_TOOLS}/recipe": str(scratch / "recipe")}
        if certificates := self._certificates():
            mounts[f"{_TOOLS}/certificates"] = str(certificates)
        # A directory of packages of this machine has the same path in the build.
        links = self.variables.get("UV_FIND_LINKS", "").split(",")
        mounts |= {each: each for each in links if each.startswith("/") and Path(each).is_dir()}
        flags = []
        for target, source in mounts.items():
            flags += ["--mount", f"type=bind,source={source},target={target},readonly"]
        return flags

    def _proxies(self) -> dict[str, str]:
        return {name: self.variables[name] for name in self.variables if "PROXY" in name.upper()}
