"""Requests to docker's engine over its socket, about images, networks and containers."""

from __future__ import annotations

import http.client
import socket
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec
from picloud_model.errors import Unavailable

_ANSWER_S: Final = 20.0
_BRIDGE: Final = "com.docker.network.bridge"
_MISSING: Final = 404
_FAILED: Final = 400


class Network(msgspec.Struct, frozen=True):
    """A docker bridge: its name, its interface, and this machine's address in it."""

    name: str
    interface: str
    gateway: str


class Engine:
    """A dockerd on this machine.

    Args:
        host: The address of its socket, as in DOCKER_HOST.
    """

    def __init__(self, host: str) -> None:
        self.host = host

    def __repr__(self) -> str:
        return f"Engine({self.host!r})"

    def version(self) -> str:
        """Return its version.

        Raises:
            Unavailable: When no dockerd answers.
        """
        return str(self._ask("GET", "/version")["Version"])

    def has(self, image: str) -> bool:
        """Whether an image exists."""
        return self._ask("GET", f"/images/{quote(image)}/json") is not None

    def tags(self, pattern: str) -> list[str]:
        """Return the full names of images whose repository matches a pattern, as `a/b/*`."""
        filters = urlencode({"filters": msgspec.json.encode({"reference": [pattern]}).decode()})
        found = self._ask("GET", f"/images/json?{filters}") or ()
        return [tag for image in found for tag in image["RepoTags"] or ()]

    def remove(self, image: str) -> None:
        """Remove an image; a missing one is not an error.

        Raises:
            Unavailable: When a container uses it.
        """
        self._ask("DELETE", f"/images/{quote(image)}")

    def network(self, name: str, interface: str) -> Network:
        """Return a network, made if missing, whose containers cannot connect to each other."""
        network = self._ask("GET", f"/networks/{quote(name)}")
        if network is None:
            options = {f"{_BRIDGE}.name": interface, f"{_BRIDGE}.enable_icc": "false"}
            request = {"Name": name, "CheckDuplicate": True, "Driver": "bridge", "Options": options}
            self._ask("POST", "/networks/create", request)
            network = self._ask("GET", f"/networks/{quote(name)}")
        gateway = network["IPAM"]["Config"][0]["Gateway"]
        return Network(name, network["Options"][f"{_BRIDGE}.name"], gateway)

    def clear(self, name: str) -> None:
        """Remove a network and its containers."""
        filters = urlencode({"all": "1", "filters": f'{{"network":["{name}"]}}'})
        for container in self._ask("GET", f"/containers/json?{filters}") or ():
            self._ask("DELETE", f"/containers/{container['Id']}?force=1&v=1")
        self._ask("DELETE", f"/networks/{quote(name)}")

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        """Send a request; return the decoded answer, None if it is empty or 404."""
        connection = _Socket(self.host.removeprefix("unix://"))
        try:
            data = msgspec.json.encode(body) if body is not None else None
            connection.request(method, path, data, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(f"No dockerd answers at {self.host}: {error}") from error
        finally:
            connection.close()
        if answer.status == _MISSING:
            return None
        if answer.status >= _FAILED:
            raise Unavailable(f"Docker refuses {method} {path}: {content.decode(errors='replace')}")
        return msgspec.json.decode(content) if content else None


class _Socket(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("docker", timeout=_ANSWER_S)
        self._path = path

    def connect(self) -> None:
        """Connect to the Unix socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
