"""Nomad for one machine: server and client in one, with ACLs; docker or raw_exec runs slots."""

from __future__ import annotations

import base64
import contextlib
import os
import sys
import time
import uuid
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec
import urllib3
from picloud_jobspecs.render import BURST_PREFIX, Driver, mhz
from picloud_model.core import CORE_TYPES, DEFAULT_CORE_TYPE
from picloud_model.errors import Unavailable

from picloud_driver import disk
from picloud_driver.nomad.gateway import NomadAccess, NomadGateway
from picloud_driver.scheduler.nomad_nodes import CORE_TYPES_KEY, SLOTS_KEY, Nodes
from picloud_driver.stack import records
from picloud_driver.stack.addresses import Server, given_nomad
from picloud_driver.stack.faults import StackFault
from picloud_driver.stack.part import Launch, Part
from picloud_driver.stack.ports import HOST
from picloud_driver.stack.program import Program

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from picloud_driver.stack.cage import Cage
    from picloud_driver.stack.wait import Wait

_NOT_OURS: Final = "env_aws,env_gce,env_azure,env_digitalocean,consul,vault"
"""The clouds' addresses do not answer on a desk, and each is waited for; a Consul or a Vault that
happens to run on this machine is somebody else's."""
_NO_CONSUL: Final = ("auto_advertise", "server_auto_join", "client_auto_join")
_ANSWER_S: Final = 10.0
_STOP_S: Final = 15.0
_POLL_S: Final = 0.1
_OK: Final = 200

_DOCKER: Final = [{"gc": [{"image": False, "dangling_containers": [{"enabled": False}]}]}]
"""Images made here are in no registry, and containers may be another cluster's.

Lists, as each is a block.
"""


class Keys(msgspec.Struct, frozen=True):
    """The token that may do everything, and the key without which no server can join."""

    token: str
    gossip: str


class Nomad(Part[Server]):
    """A Nomad agent.

    Args:
        data: See `Part`.
        slots: How many slots the machine is to run at once.
    """

    name: ClassVar[str] = "nomad"
    port_names: ClassVar[tuple[str, ...]] = ("http", "rpc", "serf")
    program: ClassVar[Program] = Program(
        name="nomad", oldest=(1, 8, 0), get="https://developer.hashicorp.com/nomad/install"
    )

    def __init__(self, data: Path, slots: int) -> None:
        super().__init__(data)
        self._slots = slots
        self.cage: Cage | None = None
        self.room: int | None = None
        """How many slots it runs at once, of the default core type; None before it settles."""
        self.short = ""
        """Why these are fewer than asked for, as the end of a sentence; "" when they are not."""

    def launch(self, ports: Mapping[str, int]) -> Launch:
        """See `Part.launch`."""
        meta = {CORE_TYPES_KEY: ",".join(CORE_TYPES), SLOTS_KEY: str(self._slots)}
        driver = Driver.DOCKER if self.cage else Driver.RAW_EXEC
        config = {
            "name": "picloud",
            "data_dir": str(self.directory / "data"),
            "bind_addr": HOST,
            "ports": dict(ports),
            # It advertises a loopback address only when told so.
            "advertise": {name: f"{HOST}:{port}" for name, port in ports.items()},
            "server": {
                "enabled": True,
                "bootstrap_expect": 1,
                "raft_multiplier": 1,
                "encrypt": self._secrets().gossip,
            },
            "client": {
                "enabled": True,
                "network_interface": "lo0" if sys.platform == "darwin" else "lo",
                "options": {"fingerprint.denylist": _NOT_OURS, "driver.allowlist": driver},
                "meta": meta,
                **self._oversubscribed(),
            },
            # Without ACLs, every user of this machine could run programs as us.
            "acl": {"enabled": True},
            "consul": dict.fromkeys(_NO_CONSUL, False),
            # Where slots can be isolated, nothing runs that is not.
            "plugin": {
                "raw_exec": {"config": [{"enabled": self.cage is None}]},
                "docker": {"config": _DOCKER},
            },
            "disable_update_check": True,
            "log_level": "WARN",
        }
        file = self.directory / "nomad.json"
        disk.replace(file, msgspec.json.encode(config), sync=False)
        environment = {"DOCKER_HOST": self.cage.host} if self.cage else {}
        return Launch(["agent", f"-config={file}"], environment)

    def way(self, ports: Mapping[str, int]) -> Server:
        """See `Part.way`."""
        return Server(f"http://{HOST}:{ports['http']}", self._secrets().token)

    def settle(self, way: Server, wait: Wait) -> Server:
        """See `Part.settle`; at the first start, the token is made known."""
        wait.until(lambda: _make_known(way))
        driver = Driver.DOCKER if self.cage else Driver.RAW_EXEC
        wait.until(lambda: self.check(way, driver))
        self._keep_state(way)
        with contextlib.closing(NomadGateway(access(way), connections=1)) as gateway:
            self.take_in(Nodes(gateway, driver))
        return way

    @staticmethod
    def check(way: Server, driver: Driver = Driver.RAW_EXEC) -> None:
        """See `Part.check`; a machine has to take slots."""
        gateway = NomadGateway(access(way), connections=1)
        try:
            if not gateway.leader():
                raise Unavailable(f"Nomad at {way.address} has no leader: start its servers.")
            offers = Nodes(gateway, driver).offers(fresh=True)
            if not any(offer.core_types for offer in offers):
                raise Unavailable(
                    f"Nomad at {way.address} has no ready, eligible machine with a healthy"
                    f" {driver.value} driver whose meta has {CORE_TYPES_KEY}: give one"
                    " both."
                )
        finally:
            gateway.close()

    def given(self, environment: Mapping[str, str]) -> Server | None:
        """See `Part.given`."""
        return given_nomad(environment)

    def _oversubscribed(self) -> Mapping[str, int]:
        """More slots than processors are a wish to share them: Nomad counts what it then takes."""
        if self._slots <= (os.cpu_count() or 1):
            return {}
        return {"cpu_total_compute": self._slots * max(mhz(name) for name in CORE_TYPES)}

    def take_in(self, nodes: Nodes) -> None:
        """Note how many slots it runs, and why not all that are asked for."""
        self.room, self.short = nodes.capacity(DEFAULT_CORE_TYPE), ""
        if self.room < self._slots:
            told = sum(offer.slots for offer in nodes.offers())
            before = "it was started so: picloud down, then up, decides anew"
            self.short = before if told < self._slots else "this machine has no memory for more"

    def _keep_state(self, way: Server) -> None:
        """Let Nomad write its state to the disk as a whole, once.

        A server that starts again knows nothing before an election, unless there is such a
        snapshot. It then refuses its own machine's secret, and that asks again only 15-30 s later.
        """
        kept = self.directory / "data" / "server" / "raft" / "snapshots"
        if not any(kept.glob("*/meta.json")):
            _request("GET", way, "operator/snapshot")

    def _secrets(self) -> Keys:
        advice = "remove what lies in stack/nomad beside it to start with nothing"
        keys = records.read(self._keys, Keys, advice)
        if keys is None:
            if (self.directory / "data").exists():
                raise StackFault(f"{self._keys}, the keys of Nomad, is gone: {advice}.")
            keys = Keys(str(uuid.uuid4()), base64.b64encode(os.urandom(32)).decode())
            records.write(self._keys, keys)
        return keys


def end_slots(way: Server, url: str = "") -> int:
    """End bursts and let Nomad forget them; waits until their slots have ended.

    Args:
        way: The Nomad they run on.
        url: Only bursts whose slots report there, as others may use that Nomad; "" for all.

    Returns:
        How many there were.

    Raises:
        PiCloudError: When Nomad does not answer, or slots do not end.
    """
    gateway = NomadGateway(access(way), connections=1)
    try:
        bursts = [job.id for job in gateway.jobs(BURST_PREFIX) if _reports_to(way, job.id, url)]
        for burst in bursts:
            gateway.deregister(burst)
        deadline = time.monotonic() + _STOP_S
        for burst in bursts:
            while not all(place.ended for place in gateway.allocations_of(burst)[0]):
                if time.monotonic() > deadline:
                    raise Unavailable(f"Slots of {burst} do not end: look at Nomad's log.")
                time.sleep(_POLL_S)
            gateway.deregister(burst, purge=True)
    finally:
        gateway.close()
    return len(bursts)


def clear(way: Server, directory: Path) -> None:
    """Let a Nomad of ours remove, and unmount, what ended tasks have left in its directory."""
    _request("PUT", way, "system/gc")
    places = directory / "data" / "alloc"
    deadline = time.monotonic() + _ANSWER_S
    while places.is_dir() and any(places.iterdir()) and time.monotonic() < deadline:
        time.sleep(_POLL_S)


def access(way: Server) -> NomadAccess:
    """The same, as the gateway takes it."""
    return NomadAccess(
        way.address,
        way.token,
        ca_file=way.ca_file,
        cert_file=way.cert_file,
        key_file=way.key_file,
        **({"namespace": way.namespace} if way.namespace else {}),
    )


def _make_known(way: Server) -> None:
    """Give a Nomad that has no token yet its first one, which is ours."""
    if _request("GET", way, "acl/token/self").status == _OK:
        return
    answer = _request("POST", Server(way.address), "acl/bootstrap", {"BootstrapSecret": way.token})
    if answer.status != _OK:
        raise Unavailable(f"Nomad refuses our token: {answer.data.decode(errors='replace')}")


def _reports_to(way: Server, burst: str, url: str) -> bool:
    return not url or f'"{url}"'.encode() in _request("GET", way, f"job/{burst}").data


def _request(
    method: str, way: Server, path: str, body: Mapping[str, str] | None = None
) -> urllib3.BaseHTTPResponse:
    """What neither the gateway nor python-nomad has, asked of a Nomad."""
    files = {"ca_certs": way.ca_file, "cert_file": way.cert_file, "key_file": way.key_file}
    tls: dict[str, Any] = {name: file for name, file in files.items() if file}
    with urllib3.PoolManager(**tls) as pool:
        try:
            return pool.request(
                method,
                f"{way.address}/v1/{path}",
                json=body,
                headers={"X-Nomad-Token": way.token} if way.token else {},
                retries=False,
                timeout=_ANSWER_S,
            )
        except urllib3.exceptions.HTTPError as error:
            raise Unavailable(f"Nomad at {way.address} does not answer: {error}") from error
