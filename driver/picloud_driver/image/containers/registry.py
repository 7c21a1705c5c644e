"""A registry of images, from which each machine of a cluster pulls those that its slots run in."""

from __future__ import annotations

import http.client
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.errors import Unavailable

from picloud_driver.image.build_step import BuildFailedError

if TYPE_CHECKING:
    from picloud_driver.image.containers.docker_build import BuildContainer

_PUSH: Final = "push the image to the registry"
_PULL: Final = "pull the image from the registry"
_DIGESTS: Final = "{{range .RepoDigests}}{{println .}}{{end}}"

_LOOPBACK: Final = ("127.", "localhost")
"""Where docker itself connects to a registry without TLS."""
_ANSWER_S: Final = 20.0


class _Login(msgspec.Struct, frozen=True):
    auth: str = ""


class _Logins(msgspec.Struct, frozen=True):
    auths: dict[str, _Login] = {}


class Registry(msgspec.Struct, frozen=True, kw_only=True):
    """A registry: machines pull from `address`, and the server pushes to `push`.

    Both have a host and a port, and may have a path. "" as `push` means the same address. `login`
    is a directory with a `config.json` as `docker login` writes it, for the server alone; "" logs
    in nowhere.
    """

    address: str
    push: str = ""
    login: str = ""

    def reference(self, repository: str, digest: str) -> str:
        """Return the name by which machines pull an image.

        >>> Registry(address="10.0.0.5:5000").reference("a/b", "sha256:0")
        '10.0.0.5:5000/a/b@sha256:0'
        """
        return f"{self.address}/{repository}@{digest}"

    def pushed(self, repository: str, tag: str) -> str:
        """Return the name by which the server pushes an image.

        >>> Registry(address="10.0.0.5:5000", push="10.0.0.5:5001").pushed("a/b", "1")
        '10.0.0.5:5001/a/b:1'
        """
        return f"{self.push or self.address}/{repository}:{tag}"

    async def publish(self, container: BuildContainer, name: str, repository: str) -> str:
        """Push an image, of which the registry stores the layers that it lacks.

        Args:
            container: Runs the client of docker.
            name: The name of the image here; its tag is that in the registry.
            repository: Where in the registry.

        Returns:
            The name by which machines pull it; it has the digest, and can be pulled.

        Raises:
            BuildFailedError: When the registry refuses, or does not answer.
        """
        pushed = self.pushed(repository, name.rpartition(":")[2])
        await container.docker("name the image", ["tag", name, pushed])
        push = ["push", "--quiet", pushed]
        container.log.begin(_PUSH)
        await container.docker(_PUSH, push, self._variables())
        found = await container.docker("", ["image", "inspect", "--format", _DIGESTS, pushed])
        listed = dict(line.split("@") for line in found.decode().split())
        if (digest := listed.get(pushed.rpartition(":")[0])) is None:
            raise BuildFailedError(f"{_PUSH}: docker has no digest of it.")
        reference = self.reference(repository, digest)
        await self.pull(container, reference)
        return reference

    async def pull(self, container: BuildContainer, reference: str) -> None:
        """Pull an image, unless it is here.

        Raises:
            BuildFailedError: When the registry lacks it, or does not answer.
        """
        pull = ["pull", "--quiet", reference]
        container.log.begin(_PULL)
        await container.docker(_PULL, pull, self._variables())

    def delete(self, reference: str) -> None:
        """Remove an image; one that the registry refuses to remove is left to its operator.

        Args:
            reference: The name by which machines pull it.

        Raises:
            Unavailable: When the registry does not answer.
        """
        host, _, path = (self.push or self.address).partition("/")
        name, digest = reference.removeprefix(f"{self.address}/").split("@")
        place = f"/v2/{path}/{name}" if path else f"/v2/{name}"
        connection = _connection(host)
        try:
            connection.request("DELETE", f"{place}/manifests/{digest}", headers=self._login(host))
            connection.getresponse().read()
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(f"The registry at {host} does not answer: {error}") from error
        finally:
            connection.close()

    def _login(self, host: str) -> dict[str, str]:
        """Return the header that names the server, if it has a password for a registry."""
        if not self.login:
            return {}
        found = msgspec.json.decode(Path(self.login, "config.json").read_bytes(), type=_Logins)
        login = found.auths.get(host)
        return {"Authorization": f"Basic {login.auth}"} if login and login.auth else {}

    def _variables(self) -> dict[str, str]:
        return {"DOCKER_CONFIG": self.login} if self.login else {}


def _connection(host: str) -> http.client.HTTPConnection:
    if host.startswith(_LOOPBACK):
        return http.client.HTTPConnection(host, timeout=_ANSWER_S)
    return http.client.HTTPSConnection(host, timeout=_ANSWER_S)
