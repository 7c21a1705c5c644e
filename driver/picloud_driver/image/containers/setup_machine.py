"""Setup machines as containers: root changes them by hand, and snapshots of them are images.

A machine has no credential of the platform. It shares the network of the slots, in which containers
cannot connect to each other, and from which a client reaches it through a gateway only.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.errors import Unavailable

from picloud_driver.docker.engine import Engine
from picloud_driver.image import worker_packages
from picloud_driver.image.containers.container_tools import TOOLS, UV, ContainerTools
from picloud_driver.image.containers.docker_build import (
    AS_BASE,
    ENVIRONMENT,
    FREEZE,
    LIMITS,
    LIST_DEBIAN,
    ROOT_PATH,
    WORKER,
    BuildContainer,
    debian_packages,
    lines,
)
from picloud_driver.image.port import Image, ImageState
from picloud_driver.image.setup_machine import pip_script, refuse_commands

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_driver.image.build_log import BuildLog

_PROGRAMS: Final = "bin"
_PIP: Final = ("pip", "pip3")
_CONSTRAINTS: Final = "constraints.txt"
# The shell waits for what other processes leave to it, as the first process of a system does.
_WAIT: Final = "trap 'exit 0' TERM; while :; do sleep 3600 & wait $!; done"
_TEMPORARY: Final = ("/tmp", "/var/tmp", "/var/lib/apt/lists", "/var/cache/apt")  # noqa: S108
"""Directories in memory, which are not saved."""
# Installing a package starts no service: it would run in this machine only, and keep it busy.
_PREPARE: Final = (
    "test -e /usr/sbin/policy-rc.d || "
    "{ printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d; }"
)
# Files of docker, which are not saved: it makes them anew whenever a container starts.
_OF_DOCKER: Final = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf", f"{TOOLS}/*")
_SAVED: Final = " ".join(f"! -path '{path}'" for path in ("*/__pycache__*", *_OF_DOCKER))
# No program of an image is setuid. What is listed is what a snapshot has: a change of it is seen.
_SEAL: Final = (
    "find / -xdev -perm /6000 -type f -exec chmod a-s {} + && "
    f"find / -xdev {_SAVED} ! -type d "
    "-printf '%p %m %U %s %T@ %l\\n' | LC_ALL=C sort | sha256sum"
)
_COLUMNS: Final = "pid,stat,pgid,sid,tpgid,args"
_SERVER: Final = ("/usr/bin/python3", "-P", "-m", "picloud_worker.tunnel", "setup-machine")


class ContainerMachine(msgspec.Struct, frozen=True, kw_only=True):
    """The container of a setup machine.

    `host` is the address of dockerd, `network` that of slots, `name` that of the container, and
    `folder` a directory of this machine for what is mounted in it.
    """

    host: str
    network: str
    name: str
    folder: Path
    tools: ContainerTools

    async def start(self, log: BuildLog, scratch: Path, origin: str) -> None:
        """Start a new container of an image.

        Raises:
            BuildFailedError: When docker refuses.
        """
        self._write()
        run = ["run", "--detach", "--name", self.name, "--hostname", "setup"]
        run += ["--network", self.network, "--log-driver", "none", *LIMITS]
        for each in _TEMPORARY:
            mode = "1777" if each.endswith("tmp") else "755"
            run += ["--tmpfs", f"{each}:exec,mode={mode}"]
        run += self.tools.mounts({_PROGRAMS: self.folder / _PROGRAMS})
        run += ["--entrypoint", "", origin, "/bin/sh", "-c", _WAIT]
        container = self._container(log, scratch)
        await container.remove()
        await container.docker("start a container", run)
        await container.as_root("make it ready", ["sh", "-c", _PREPARE])

    async def signature(self, log: BuildLog, scratch: Path) -> str:
        """Return a digest of the names, rights, sizes and times of its files."""
        printed = await self._container(log, scratch).as_root("", ["sh", "-c", _SEAL])
        return printed.decode(errors="replace")

    async def store(self, log: BuildLog, scratch: Path, target: str, base: str) -> Image:
        """Make an image of what it has become, and return what is known of it.

        Args:
            log: Where the steps are logged.
            scratch: A directory to work in.
            target: The full name of the image.
            base: The image of slots, whose packages are not listed.

        Raises:
            BuildFailedError: When a step fails.
        """
        container = self._container(log, scratch)
        await container.as_root(worker_packages.CHECK, WORKER)
        settings = self.tools.settings()
        packages = lines(await container.as_root("list packages", FREEZE, settings))
        debian = await debian_packages(container)
        program, *arguments = LIST_DEBIAN
        run = ["run", "--rm", "--network", "none", "--entrypoint", program, base, *arguments]
        debian -= {*lines(await container.docker("list Debian packages", run))}
        await container.docker("store the image", ["commit", *AS_BASE, self.name, target])
        engine = Engine(self.host)
        return Image(
            state=ImageState.READY,
            packages=packages,
            apt=sorted(debian),
            size=max(0, engine.size(target) - engine.size(base)),
        )

    def serve_shell(self, variables: dict[str, str]) -> None:
        """Start a shell server, whose shells have this environment in addition.

        Raises:
            Unavailable: When the container does not run.
        """
        shells = {
            "HOME": "/root",
            "LANG": "C.UTF-8",
            "USER": "root",
            "DEBIAN_FRONTEND": "noninteractive",
            "VIRTUAL_ENV": ENVIRONMENT,
            "PATH": f"{ENVIRONMENT}/bin:{TOOLS}/{_PROGRAMS}:{ROOT_PATH}",
            **self.tools.proxies(),
        }
        Engine(self.host).execute(self.name, _SERVER, {**shells, **variables}, ENVIRONMENT)

    def refuse_busy(self) -> None:
        """Refuse to save the machine while a command runs in it.

        Raises:
            RequestConflict: When one does; it names the command. A shell that waits for input is
                not one.
            Unavailable: When the machine does not run.
        """
        engine = Engine(self.host)
        main = engine.main_process(self.name)
        if not main:
            message = "The setup machine does not run; picloud env modify NAME starts it again."
            raise Unavailable(message)
        refuse_commands(commands(engine.processes(self.name, _COLUMNS), str(main)))

    def _container(self, log: BuildLog, scratch: Path) -> BuildContainer:
        return BuildContainer(host=self.host, name=self.name, log=log, folder=scratch)

    def _write(self) -> None:
        """Write the `pip` of the machine, which is uv with the settings of the server."""
        folder = self.folder / _PROGRAMS
        folder.mkdir(parents=True, exist_ok=True)
        settings = {**self.tools.settings(), "VIRTUAL_ENV": ENVIRONMENT}
        settings |= {"UV_CONSTRAINT": f"{TOOLS}/{_PROGRAMS}/{_CONSTRAINTS}"}
        (folder / _CONSTRAINTS).write_text(worker_packages.constraints())
        for name in _PIP:
            (folder / name).write_text(pip_script(UV, settings))
            (folder / name).chmod(0o755)
        for each in (self.folder, folder, folder / _CONSTRAINTS):
            # Whatever the umask of the server.
            os.chmod(each, 0o644 if each.suffix else 0o755)  # noqa: PTH101 - both kinds


def commands(processes: Sequence[Sequence[str]], main: str) -> list[str]:
    """Return the commands that run in a machine, given its processes and the id of its first.

    >>> shell = ["8", "Ss+", "8", "8", "8", "-sh"]
    >>> commands([["1", "Ss", "1", "1", "-1", "/bin/sh -c x"], shell], "1")
    []
    >>> commands([shell, ["9", "S+", "9", "8", "9", "make all"]], "1")
    ['make all']
    """
    found = []
    for pid, state, group, session, foreground, command in processes:
        words = command.split()
        waits = pid == session and foreground == group and len(words) == 1
        is_own = session == main or words[: len(_SERVER)] == [*_SERVER]
        if not (waits or is_own or state.startswith("Z")):
            found.append(command)
    return found
