"""Requests to docker's engine over its socket, about images, networks and containers."""

from __future__ import annotations

import http.client
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

import msgspec
from picloud_model.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ANSWER_S: Final = 20.0
_STOP_S: Final = 5
"""How long a container may take to end before it is killed."""
_BRIDGE: Final = "com.docker.network.bridge"
_MISSING: Final = 404
_FAILED: Final = 400


class Network(msgspec.Struct, frozen=True):
    """A docker bridge: its name, its interface, and this machine's address in it."""

    name: str
    interface: str
    gateway: str


def machines_of(network: str) -> str:
    """Return how the names of the setup machines of a network begin.

    >>> machines_of("picloud-0123456789ab")
    'picloud-0123456789ab-setup-'
    """
    return f"{network}-setup-"


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

    def image_labels(self, image: str) -> dict[str, str]:
        """Return the labels of an image, those of what it is made from included."""
        return _labels(self._ask("GET", f"/images/{quote(image)}/json"))

    def container_labels(self, container: str) -> dict[str, str]:
        """Return the labels of a container, those of its image included."""
        return _labels(self._ask("GET", f"/containers/{quote(container)}/json"))

    def size(self, image: str) -> int:
        """Return the bytes of an image, those of what it is made from included; 0 if missing."""
        found = self._ask("GET", f"/images/{quote(image)}/json")
        return int(found["Size"]) if found else 0

    def main_process(self, container: str) -> int | None:
        """Return the process id of a container on this machine, 0 if it does not run.

        None means that there is no such container.
        """
        found = self._ask("GET", f"/containers/{quote(container)}/json")
        return int(found["State"]["Pid"]) if found else None

    def containers(self, prefix: str) -> list[str]:
        """Return the names of containers that begin with a prefix, stopped ones included."""
        filters = urlencode({"all": "1", "filters": msgspec.json.encode({"name": [prefix]})})
        found = self._ask("GET", f"/containers/json?{filters}") or ()
        names = (name.removeprefix("/") for each in found for name in each["Names"])
        return [name for name in names if name.startswith(prefix)]

    def sizes(self, prefix: str) -> dict[str, int]:
        """Return the bytes that running containers have written, by names with a prefix."""
        filters = urlencode({"size": "1", "filters": msgspec.json.encode({"name": [prefix]})})
        found = self._ask("GET", f"/containers/json?{filters}") or ()
        sizes = {each["Names"][0].removeprefix("/"): each.get("SizeRw", 0) for each in found}
        return {name: size for name, size in sizes.items() if name.startswith(prefix)}

    def processes(self, container: str, columns: str) -> list[list[str]]:
        """Return columns of the processes of a container, as `ps -eo` names and prints them."""
        query = urlencode({"ps_args": f"-eo {columns}"})
        found = self._ask("GET", f"/containers/{quote(container)}/top?{query}")
        return found["Processes"] if found else []

    def execute(
        self, container: str, command: Sequence[str], variables: Mapping[str, str], folder: str
    ) -> None:
        """Begin to run a command in a directory of a container, as root; its output is not kept.

        Raises:
            Unavailable: When the container does not run.
        """
        environment = [f"{name}={text}" for name, text in variables.items()]
        request = {"Cmd": [*command], "Env": environment, "WorkingDir": folder}
        made = self._ask("POST", f"/containers/{quote(container)}/exec", request)
        if made is None:
            raise Unavailable(f"Docker has no container {container}.")
        self._ask("POST", f"/exec/{made['Id']}/start", {"Detach": True})

    def start(self, container: str) -> None:
        """Start a container that has stopped.

        Raises:
            Unavailable: When docker refuses.
        """
        self._ask("POST", f"/containers/{quote(container)}/start")

    def stop(self, container: str) -> None:
        """End a container, which is kept."""
        self._ask("POST", f"/containers/{quote(container)}/stop?t={_STOP_S}")

    def delete(self, container: str) -> None:
        """End and remove a container; a missing one is not an error."""
        self._ask("DELETE", f"/containers/{quote(container)}?force=1&v=1")

    def connect(self, container: str, network: str) -> None:
        """Connect a container to a network, in place of an earlier one of the same name."""
        address = f"/networks/{quote(network)}"
        with suppress(Unavailable):  # it is not connected
            self._ask("POST", f"{address}/disconnect", {"Container": container, "Force": True})
        self._ask("POST", f"{address}/connect", {"Container": container})

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

    def clear(self, name: str, kept: str) -> None:
        """Remove a network and its containers.

        Args:
            name: The network.
            kept: The prefix of the names of containers that are stopped, and kept.
        """
        filters = urlencode({"all": "1", "filters": f'{{"network":["{name}"]}}'})
        for container in self._ask("GET", f"/containers/json?{filters}") or ():
            address = f"/containers/{container['Id']}"
            if any(each.startswith(f"/{kept}") for each in container["Names"]):
                self._ask("POST", f"{address}/stop?t={_STOP_S}")
                leave = {"Container": container["Id"], "Force": True}
                self._ask("POST", f"/networks/{quote(name)}/disconnect", leave)
            else:
                self._ask("DELETE", f"{address}?force=1&v=1")
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


def _labels(found: Any) -> dict[str, str]:
    return (found["Config"]["Labels"] if found else None) or {}


class _Socket(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("docker", timeout=_ANSWER_S)
        self._path = path

    def connect(self) -> None:
        """Connect to the Unix socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
