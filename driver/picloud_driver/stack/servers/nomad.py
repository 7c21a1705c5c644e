"""Nomad for one machine: server and client in one, with ACLs; docker or raw_exec runs slots."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec
import urllib3
from picloud_jobspecs.render import BURST_PREFIX, Driver, mhz
from picloud_model.core import CORE_TYPES, DEFAULT_CORE_TYPE
from picloud_model.errors import Unavailable

from picloud_driver.nomad.bootstrap import bootstrap
from picloud_driver.nomad.gateway import NomadAccess, NomadGateway
from picloud_driver.scheduler.nomad.nodes import CORE_TYPES_KEY, SLOTS_KEY, Nodes
from picloud_driver.stack.addresses import VendorServer, nomad_of
from picloud_driver.stack.servers.acl_tokens import AclTokens, acl_tokens
from picloud_driver.stack.servers.ports import HOST
from picloud_driver.stack.servers.program import Program
from picloud_driver.stack.servers.stack_server import Launch, StackServer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from picloud_driver.stack.isolation import SlotIsolation
    from picloud_driver.stack.servers.startup import StartupDeadline

_NOT_OURS: Final = "env_aws,env_gce,env_azure,env_digitalocean,consul,vault"
"""Fingerprints to skip: outside a cloud, Nomad would wait for each cloud's metadata address, and a
Consul or Vault that happens to run on this machine belongs to another user."""
_NO_CONSUL: Final = ("auto_advertise", "server_auto_join", "client_auto_join")
_ANSWER_S: Final = 10.0
_STOP_S: Final = 15.0
_POLL_S: Final = 0.1
_OK: Final = 200

_DOCKER: Final = {"gc": [{"image": False, "dangling_containers": [{"enabled": False}]}]}
"""No garbage collection: images made here may be in no registry, and dangling containers may belong
to another cluster. These are lists, as each is an HCL block."""


class Nomad(StackServer[VendorServer]):
    """A Nomad agent.

    Args:
        data: See `StackServer`.
        slots: How many slots the machine should run at once.
    """

    name: ClassVar[str] = "nomad"
    port_names: ClassVar[tuple[str, ...]] = ("http", "rpc", "serf")
    roles: ClassVar[tuple[str, ...] | None] = ("server.global.nomad", "client.global.nomad")
    program: ClassVar[Program] = Program(
        name="nomad", oldest=(1, 8, 0), get="https://developer.hashicorp.com/nomad/install"
    )

    def __init__(self, data: Path, slots: int) -> None:
        super().__init__(data)
        self._slots = slots
        self.isolation: SlotIsolation | None = None
        self.capacity: int | None = None
        """How many slots of the default core type it runs at once; None before it is ready."""
        self.shortage = ""
        """Why it runs fewer slots than requested, as the end of a sentence; else ""."""

    def launch(self, ports: Mapping[str, int]) -> Launch:
        """See `StackServer.launch`."""
        meta = {CORE_TYPES_KEY: ",".join(CORE_TYPES), SLOTS_KEY: str(self._slots)}
        driver = Driver.DOCKER if self.isolation else Driver.RAW_EXEC
        files = self._authority.files(self.name)
        config = {
            "name": "picloud",
            "data_dir": str(self.directory / "data"),
            "bind_addr": HOST,
            "ports": dict(ports),
            # It advertises a loopback address only if configured.
            "advertise": {name: f"{HOST}:{port}" for name, port in ports.items()},
            "server": {
                "enabled": True,
                "bootstrap_expect": 1,
                "raft_multiplier": 1,
                "encrypt": self._tokens().gossip,
            },
            "client": {
                "enabled": True,
                "network_interface": "lo0" if sys.platform == "darwin" else "lo",
                "options": {"fingerprint.denylist": _NOT_OURS, "driver.allowlist": driver},
                "meta": meta,
                **self._oversubscribed(),
            },
            # Without ACLs, every user of this machine could run programs as this one. Without
            # certificates, one could take the first token, or add a machine for others' slots.
            "acl": {"enabled": True},
            "tls": {
                "http": True,
                "rpc": True,
                "ca_file": files.ca_file,
                "cert_file": files.cert_file,
                "key_file": files.key_file,
                "verify_server_hostname": True,
                "verify_https_client": True,
            },
            "consul": dict.fromkeys(_NO_CONSUL, False),
            # If slots can be isolated, nothing runs without isolation.
            "plugin": {
                "raw_exec": {"config": [{"enabled": self.isolation is None}]},
                "docker": {"config": [{**_DOCKER, **self._login()}]},
            },
            "disable_update_check": True,
            "log_level": "WARN",
        }
        file = self.write_config(config)
        environment = {"DOCKER_HOST": self.isolation.host} if self.isolation else {}
        return Launch(["agent", f"-config={file}"], environment)

    def address(self, ports: Mapping[str, int]) -> VendorServer:
        """See `StackServer.address`."""
        return self.tls_address(ports["http"], self._tokens().token)

    def running_address(self) -> VendorServer | None:
        """Return how its running process is reached; None if none runs.

        One that an earlier version of PiCloud has started has no TLS.
        """
        record = self.record()
        if not record.is_running():
            return None
        if record.authority:
            return self.address(record.ports)
        return VendorServer(f"http://{HOST}:{record.ports['http']}", self._tokens().token)

    def make_ready(self, server: VendorServer, deadline: StartupDeadline) -> VendorServer:
        """See `StackServer.make_ready`; the first start sets the token of an administrator.

        The API gets a token of its own.
        """
        deadline.until(lambda: _set_token(server))
        token = deadline.until(lambda: bootstrap(access(server)))
        own = msgspec.structs.replace(server, token=token)
        driver = Driver.DOCKER if self.isolation else Driver.RAW_EXEC
        deadline.until(lambda: self.check(own, driver))
        self._keep_state(server)
        with contextlib.closing(NomadGateway(access(own), connections=1)) as gateway:
            self.read_capacity(Nodes(gateway, driver))
        return own

    @staticmethod
    def check(server: VendorServer, driver: Driver = Driver.RAW_EXEC) -> None:
        """See `StackServer.check`; at least one machine must accept slots."""
        gateway = NomadGateway(access(server), connections=1)
        try:
            if not gateway.leader():
                raise Unavailable(f"Nomad at {server.address} has no leader: start its servers.")
            offers = Nodes(gateway, driver).offers(fresh=True)
            if not any(offer.core_types for offer in offers):
                raise Unavailable(
                    f"Nomad at {server.address} has no ready, eligible machine with a healthy"
                    f" {driver.value} driver whose meta has {CORE_TYPES_KEY}: give one"
                    " both."
                )
        finally:
            gateway.close()

    def configured(self, environment: Mapping[str, str]) -> VendorServer | None:
        """See `StackServer.configured`."""
        return nomad_of(environment)

    def _oversubscribed(self) -> Mapping[str, int]:
        """Let more slots than processors share these: raise the MHz that Nomad counts."""
        if self._slots <= (os.cpu_count() or 1):
            return {}
        return {"cpu_total_compute": self._slots * max(mhz(name) for name in CORE_TYPES)}

    def read_capacity(self, nodes: Nodes) -> None:
        """Set `capacity` and `shortage` from what its machine offers."""
        self.capacity, self.shortage = nodes.capacity(DEFAULT_CORE_TYPE), ""
        if self.capacity < self._slots:
            offered = sum(offer.slots for offer in nodes.offers())
            before = "it was started so: picloud down, then up, decides anew"
            self.shortage = (
                before if offered < self._slots else "this machine has no memory for more"
            )

    def _keep_state(self, server: VendorServer) -> None:
        """Make Nomad write a snapshot of its state to disk, once.

        Without one, a restarted server has no state before its election. It then refuses the secret
        of its own machine, which retries only 15-30 s later.
        """
        snapshots = self.directory / "data" / "server" / "raft" / "snapshots"
        if not any(snapshots.glob("*/meta.json")):
            _request("GET", server, "operator/snapshot")

    def _login(self) -> Mapping[str, object]:
        """Return how it pulls images from the registry: as the API, which is of the same user."""
        login = self.isolation.registry.get("registry_login") if self.isolation else ""
        return {"auth": [{"config": f"{login}/config.json"}]} if login else {}

    def _tokens(self) -> AclTokens:
        return acl_tokens(self._keys, self.directory / "data", "Nomad")


def end_slots(server: VendorServer, url: str = "") -> int:
    """End bursts, wait until their slots have ended, and purge them from Nomad.

    Args:
        server: The Nomad that runs them.
        url: Only bursts whose slots report to this API, as others may use the same Nomad; "" for
            all.

    Returns:
        The number of bursts.

    Raises:
        PiCloudError: When Nomad does not answer, or slots do not end.
    """
    gateway = NomadGateway(access(server), connections=1)
    try:
        bursts = [job.id for job in gateway.jobs(BURST_PREFIX) if _reports_to(server, job.id, url)]
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


def clear(server: VendorServer, directory: Path) -> None:
    """Make PiCloud's own Nomad unmount and remove the files of ended tasks."""
    _request("PUT", server, "system/gc")
    places = directory / "data" / "alloc"
    deadline = time.monotonic() + _ANSWER_S
    while places.is_dir() and any(places.iterdir()) and time.monotonic() < deadline:
        time.sleep(_POLL_S)


def access(server: VendorServer) -> NomadAccess:
    """Return the address in the form that the gateway takes."""
    return NomadAccess(
        server.address,
        server.token,
        ca_file=server.ca_file,
        cert_file=server.cert_file,
        key_file=server.key_file,
        **({"namespace": server.namespace} if server.namespace else {}),
    )


def _set_token(server: VendorServer) -> None:
    """Bootstrap the ACLs of a Nomad that has no token yet."""
    if _request("GET", server, "acl/token/self").status == _OK:
        return
    stranger = msgspec.structs.replace(server, token="")
    answer = _request("POST", stranger, "acl/bootstrap", {"BootstrapSecret": server.token})
    if answer.status != _OK:
        raise Unavailable(f"Nomad refuses our token: {answer.data.decode(errors='replace')}")


def _reports_to(server: VendorServer, burst: str, url: str) -> bool:
    return not url or f'"{url}"'.encode() in _request("GET", server, f"job/{burst}").data


def _request(
    method: str, server: VendorServer, path: str, body: Mapping[str, str] | None = None
) -> urllib3.BaseHTTPResponse:
    """Make a request that neither the gateway nor python-nomad offers."""
    files = {"ca_certs": server.ca_file, "cert_file": server.cert_file, "key_file": server.key_file}
    tls: dict[str, Any] = {name: file for name, file in files.items() if file}
    with urllib3.PoolManager(**tls) as pool:
        try:
            return pool.request(
                method,
                f"{server.address}/v1/{path}",
                json=body,
                headers={"X-Nomad-Token": server.token} if server.token else {},
                retries=False,
                timeout=_ANSWER_S,
            )
        except urllib3.exceptions.HTTPError as error:
            raise Unavailable(f"Nomad at {server.address} does not answer: {error}") from error
