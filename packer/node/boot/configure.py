#!/opt/picloud/venv/bin/python -P
"""Write what the machines of a cluster do not share: addresses, keys, and what this one runs.

configure.py MACHINE.json [--hosts-only] [--root DIR]

Everything goes to /etc/picloud/machine, and the addresses of the servers to /etc/hosts. A second
call writes the same again, with servers and keys as they are then.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import shlex
import shutil
import socket
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import boto3
import msgspec
from botocore.exceptions import BotoCoreError, ClientError
from picloud_driver.nats.users import authorization, user_of
from picloud_driver.stack.addresses import Bucket, VendorServer, environment_of
from picloud_jobspecs.render import mhz
from picloud_model.core import CORE_TYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

SERVERS_NAME: Final = "picloud-servers"
"""The name of all servers, in their certificate and in /etc/hosts; `name_of` has that of one."""
USER: Final = "picloud"
SECRETS: Final = Path("etc/picloud/machine/secrets")
_TLS: Final = ("ca.pem", "cert.pem", "key.pem")
_NEEDED: Final = {
    "servers": (*_TLS, "consul-gossip", "nomad-gossip", "nats-token"),
    "api": (*_TLS, "nats-token"),
    "clients": _TLS,
}
"""The secrets of each kind of machine."""
_OLD_NATS: Final = "nats-token-old"
_LATER: Final = {"servers": (_OLD_NATS,), "api": ("environment",)}
"""Those that exist only while a token is replaced, or once the servers run."""
_SERVICES: Final = {
    "servers": ("consul", "vault", "nats", "nomad-server"),
    "api": ("api",),
    "clients": ("nomad-client",),
}
_MOST_REPLICAS: Final = 3
"""How many servers store each message of a queue: any one of them can be lost."""
_ROUTES: Final = {"ping_interval": "5s", "connect_retries": 1_000_000}
"""A server whose machine is gone is given up after two more pings. Without retries, two servers
that know of each other from the third, and could not connect once, would never try again."""
_ROUTE_PORT: Final = 6222
_HANDSHAKE_S: Final = 10
_MAX_PAYLOAD: Final = 8 * 1024 * 1024
_MARK: Final = "# servers of PiCloud"
API_NAME: Final = "picloud-api"
"""The name of all API machines in /etc/hosts, and their node pool."""
_API_PORT: Final = 8787
_FAR: Final = ("198.51.100.1", 9)
"""An address beyond this network, for which no packet is sent."""
_GET_ADDRESS: Final = 0x8915
"""Linux's SIOCGIFADDR."""

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9-]{1,22}[a-z0-9]\Z")]
Address = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,3}(\.[0-9]{1,3}){3}\Z")]


class Machine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a machine is.

    Servers are the instances on which the tag `join_tag` has the cluster's name, unless `servers`
    lists their addresses. Keys come from the Parameter Store, unless `secrets` names a directory.
    Without `slots`, a client has one for each processor, or one if its core type has own addresses.
    Slots and programs of a machine reach the API at any of `api_machines`, if that lists addresses.
    An API machine `on_nomad` runs a Nomad client, which starts the API as a service.
    A client whose control plane is gone for `shut_down_after_minutes` ends itself; 0: never.
    """

    kind: Literal["servers", "api", "clients"]
    name: Name
    region: str
    server_count: Annotated[int, msgspec.Meta(ge=1, le=7)] = 3
    join_tag: str = ""
    core_type: str = ""
    slots: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 0
    vault_key_id: str = ""
    backup_bucket: str = ""
    data_bucket: str = ""
    servers: tuple[Address, ...] = ()
    api_machines: tuple[Address, ...] = ()
    on_nomad: bool = False
    shut_down_after_minutes: Annotated[float, msgspec.Meta(ge=0, le=525_600)] = 60
    address: Address | None = None
    secrets: str = ""


class NotConfiguredError(Exception):
    """This machine cannot be configured; one sentence says why."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("settings", type=Path, metavar="MACHINE.json")
    parser.add_argument("--hosts-only", action="store_true", help="only look for new servers")
    parser.add_argument("--root", type=Path, default=Path("/"), help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    try:
        machine = read(chosen.settings)
        servers = list(machine.servers) or discover(machine)
        write_hosts(chosen.root / "etc/hosts", servers, machine.api_machines)
        if not chosen.hosts_only:
            configure(machine, servers, chosen.root)
    except (NotConfiguredError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def read(file: Path) -> Machine:
    """Read what this machine is.

    Raises:
        NotConfiguredError: When a value is missing or wrong; names it.
    """
    try:
        machine = msgspec.json.decode(file.read_bytes(), type=Machine)
    except msgspec.MsgspecError as error:
        raise NotConfiguredError(f"{file} does not say what this machine is: {error}.") from error
    needed = {
        "servers or join_tag": machine.servers or machine.join_tag,
        "data_bucket": machine.data_bucket or machine.kind != "api",
        "core_type": machine.core_type or machine.kind != "clients",
    }
    if missing := [name for name, value in needed.items() if not value]:
        raise NotConfiguredError(f"{file} lacks {', '.join(missing)}; add it.")
    if machine.on_nomad and machine.kind != "api":
        raise NotConfiguredError(f"{file} has on_nomad, which is for kind api only; remove it.")
    if machine.core_type and machine.core_type not in CORE_TYPES:
        known = ", ".join(CORE_TYPES)
        raise NotConfiguredError(
            f"{file} has core_type {machine.core_type!r}; give one of {known}."
        )
    return machine


def configure(machine: Machine, servers: list[str], root: Path) -> None:
    """Write the configuration of this machine.

    Args:
        machine: What it is.
        servers: The addresses of all servers.
        root: The directory that stands for `/`.

    Raises:
        NotConfiguredError: When a secret is missing.
        OSError: When a file cannot be written.
    """
    found = secrets(machine)
    for name, value in found.items():
        write(root / SECRETS / name, f"{value}\n")
    if _OLD_NATS not in found:
        (root / SECRETS / _OLD_NATS).unlink(missing_ok=True)
    own = machine.address or _own_address()
    folder = (root / SECRETS).parent
    if machine.kind == "servers":
        write_json(folder / "consul.json", consul(machine, own, found))
        write_json(folder / "vault.json", vault(machine, own))
        write_json(folder / "nats.json", nats(own, servers, found))
    if machine.kind != "api" or machine.on_nomad:
        write_json(folder / "nomad.json", nomad(machine, own, found))
    variables = environment(machine, own, found.get("nats-token", ""))
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()]
    write(folder / "environment", "".join(lines))
    _set_shut_down(folder / "shut-down-after", machine)
    services = ("nomad-client",) if machine.on_nomad else _SERVICES[machine.kind]
    write(folder / "services", "".join(f"{name}\n" for name in services))


def _set_shut_down(file: Path, machine: Machine) -> None:
    """Write after how many minutes without a control plane a client ends, if it may."""
    if machine.kind == "clients" and machine.shut_down_after_minutes:
        write(file, f"{machine.shut_down_after_minutes:g}\n")
    else:
        file.unlink(missing_ok=True)


def consul(machine: Machine, own: str, secret: Mapping[str, str]) -> dict[str, Any]:
    """Return what etc/consul.hcl does not say."""
    return {
        "node_name": socket.gethostname(),
        "bind_addr": own,
        "client_addr": own,
        "bootstrap_expect": machine.server_count,
        "retry_join": _join(machine),
        "encrypt": secret["consul-gossip"],
    }


def nomad(machine: Machine, own: str, secret: Mapping[str, str]) -> dict[str, Any]:
    """Return what etc/nomad-server.hcl or etc/nomad-client.hcl does not say."""
    join = {"retry_join": _join(machine), "retry_interval": "5s"}
    common = {"name": socket.gethostname(), "bind_addr": own, "region": "global"}
    if machine.kind == "servers":
        server = {"bootstrap_expect": machine.server_count, "encrypt": secret["nomad-gossip"]}
        return common | {"server": server | {"server_join": join}}
    if machine.on_nomad:
        # No slot is placed in another pool than that of slots.
        kind: dict[str, Any] = {"node_pool": API_NAME}
    else:
        slots = machine.slots or _usual_slots(machine.core_type)
        meta = {"picloud_core_types": machine.core_type, "picloud_slots": str(slots)}
        # Nomad counts MHz, not slots: by those of the processors it would place many times more.
        kind = {"meta": meta, "cpu_total_compute": slots * mhz(machine.core_type)}
    # Otherwise Nomad runs `ip`, which small systems do not have, to find it.
    client = {"server_join": join, "network_interface": _interface(own)}
    return common | {"client": client | kind}


def _usual_slots(core_type: str) -> int:
    """Return how many slots a machine has: one for each processor, or for its address."""
    return 1 if CORE_TYPES[core_type].own_address else os.cpu_count() or 1


def vault(machine: Machine, own: str) -> dict[str, Any]:
    """Return what etc/vault.hcl does not say."""
    folder = Path("/") / SECRETS
    tls = {
        "leader_tls_servername": SERVERS_NAME,
        "leader_ca_cert_file": str(folder / "ca.pem"),
        "leader_client_cert_file": str(folder / "cert.pem"),
        "leader_client_key_file": str(folder / "key.pem"),
    }
    if machine.servers:
        leaders = [{"leader_api_addr": f"https://{each}:8200"} | tls for each in machine.servers]
    else:
        leaders = [{"auto_join": _tagged(machine), "auto_join_scheme": "https"} | tls]
    storage = {
        "path": "/var/lib/picloud/vault",
        "node_id": socket.gethostname(),
        "performance_multiplier": 1,
        "retry_join": leaders,
    }
    key = {"region": machine.region, "kms_key_id": machine.vault_key_id}
    return {
        "api_addr": f"https://{own}:8200",
        "cluster_addr": f"https://{own}:8201",
        "storage": {"raft": storage},
    } | ({"seal": {"awskms": key}} if machine.vault_key_id else {})


def nats(own: str, servers: list[str], secret: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings of NATS.

    Each server is a route with a name of its own. NATS opens four connections for a route, and
    looks its name up for each: behind one name for all servers, some pairs of servers would get
    three connections, and would lose every message that belongs on the fourth.
    """
    folder = Path("/") / SECRETS
    tokens = [secret[name] for name in ("nats-token", _OLD_NATS) if name in secret]
    tls = {
        "ca_file": str(folder / "ca.pem"),
        "cert_file": str(folder / "cert.pem"),
        "key_file": str(folder / "key.pem"),
        "verify": True,
        "timeout": _HANDSHAKE_S,
    }
    return {
        "listen": f"{own}:4222",
        "server_name": socket.gethostname(),
        "max_payload": _MAX_PAYLOAD,
        "authorization": authorization(tokens),
        "tls": tls,
        "cluster": {
            "name": "picloud",
            "listen": f"{own}:{_ROUTE_PORT}",
            "tls": tls,
            "routes": [f"nats://{name_of(each)}:{_ROUTE_PORT}" for each in servers],
            **_ROUTES,
        },
        # Otherwise it acknowledges what it writes to disk two minutes later.
        "jetstream": {"store_dir": "/var/lib/picloud/nats", "sync_interval": "always"},
    }


def environment(machine: Machine, own: str, nats_token: str) -> dict[str, str]:
    """Return the variables of the API, without its tokens, and of the servers' own commands."""
    folder = Path("/") / SECRETS
    files = [str(folder / name) for name in _TLS]

    def server(address: str, token: str = "") -> VendorServer:
        return VendorServer(address, token, *files)

    replicas = _MOST_REPLICAS if machine.server_count >= _MOST_REPLICAS else 1
    queues = msgspec.structs.replace(
        server(f"tls://{SERVERS_NAME}:4222", nats_token),
        user=user_of(nats_token) if nats_token else "",
        replicas=str(replicas),
    )
    found = {
        **environment_of("consul", server(f"https://{SERVERS_NAME}:8501")),
        **environment_of("vault", server(f"https://{SERVERS_NAME}:8200")),
        **environment_of("nomad", server(f"https://{SERVERS_NAME}:4646")),
        **environment_of("nats", queues),
        # The addresses of single servers are in no certificate.
        "VAULT_TLS_SERVER_NAME": SERVERS_NAME,
    }
    if machine.kind == "api":
        found |= environment_of("s3", Bucket("", machine.data_bucket, machine.region))
        found |= {
            "PICLOUD_API_ADDRESS": own,
            "PICLOUD_API_PROCESSES": str(min(os.cpu_count() or 1, 8)),
            "PICLOUD_SLOT_USER": "picloud-slot",
        }
        if machine.api_machines:
            found["PICLOUD_SLOT_URL"] = f"http://{API_NAME}:{_API_PORT}"
    return found


def secrets(machine: Machine) -> dict[str, str]:
    """Return the secrets of this kind of machine, by name.

    Raises:
        NotConfiguredError: When one of them is missing; says where it was looked for.
    """
    where = machine.secrets or f"/picloud/{machine.name}/{machine.kind}"
    get = _file if machine.secrets else _parameter(machine.region)
    needed = _NEEDED[machine.kind]
    values = {name: get(f"{where}/{name}") for name in needed + _LATER.get(machine.kind, ())}
    if missing := [f"{where}/{name}" for name in needed if values[name] is None]:
        place = "" if machine.secrets else "in the Parameter Store of AWS "
        raise NotConfiguredError(
            f"These secrets are missing {place}({', '.join(missing)}): make them with "
            "packer/make-secrets.sh and put them there."
        )
    return {name: value.strip() for name, value in values.items() if value is not None}


def discover(machine: Machine) -> list[str]:
    """Return the addresses of the instances that have the servers' tag.

    Raises:
        NotConfiguredError: When AWS does not list them.
    """
    chosen = [
        {"Name": f"tag:{machine.join_tag}", "Values": [machine.name]},
        {"Name": "instance-state-name", "Values": ["pending", "running"]},
    ]
    client = _aws("ec2", machine.region)
    try:
        pages = list(client.get_paginator("describe_instances").paginate(Filters=chosen))
    except (BotoCoreError, ClientError) as error:
        raise NotConfiguredError(f"AWS does not list the servers: {error}.") from error
    instances = [
        instance
        for page in pages
        for reservation in page["Reservations"]
        for instance in reservation["Instances"]
    ]
    return sorted(each["PrivateIpAddress"] for each in instances if "PrivateIpAddress" in each)


def name_of(address: str) -> str:
    """Return the name of one server, which their certificate covers, and /etc/hosts has.

    >>> name_of("10.0.0.11")
    'server-10-0-0-11.picloud-servers'
    """
    return f"server-{address.replace('.', '-')}.{SERVERS_NAME}"


def write_hosts(file: Path, servers: list[str], api_machines: Sequence[str] = ()) -> None:
    """Give machines their names in /etc/hosts; nothing is written if they have them.

    Raises:
        OSError: When it cannot be written.
    """
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    others = [line for line in before.splitlines() if not line.endswith(_MARK)]
    named = [f"{each} {SERVERS_NAME} {name_of(each)} {_MARK}" for each in servers]
    named += [f"{each} {API_NAME} {_MARK}" for each in api_machines]
    after = "".join(f"{line}\n" for line in others + named)
    if after != before:
        # In place, as a container's file is a mount, which cannot be replaced.
        file.write_text(after, encoding="utf-8")


def write(file: Path, text: str) -> None:
    """Replace a file, which only root and the servers' user can read.

    Raises:
        OSError: When it cannot be written.
    """
    file.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(text)
    # Tests run where this user does not exist.
    with contextlib.suppress(LookupError):
        for path in (file.parent, partial):
            shutil.chown(path, group=USER)
    partial.replace(file)


def write_json(file: Path, value: object) -> None:
    """Replace a file by an object as JSON.

    Raises:
        OSError: When it cannot be written.
    """
    write(file, json.dumps(value, indent=2) + "\n")


def _join(machine: Machine) -> list[str]:
    """Return where Consul and Nomad look for servers, again and again."""
    return list(machine.servers) or [_tagged(machine)]


def _tagged(machine: Machine) -> str:
    return (
        f"provider=aws region={machine.region} tag_key={machine.join_tag} tag_value={machine.name}"
    )


def _own_address() -> str:
    """Return the address from which this machine reaches others."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(_FAR)
        return str(probe.getsockname()[0])


def _interface(address: str) -> str:
    """Return the name of the network interface that has an address.

    Raises:
        NotConfiguredError: When there is none.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):
                request = struct.pack("256s", name.encode())
                found = fcntl.ioctl(probe, _GET_ADDRESS, request)[20:24]
                if socket.inet_ntoa(found) == address:
                    return name
    raise NotConfiguredError(f"This machine does not have the address {address}; correct it.")


def _file(path: str) -> str | None:
    file = Path(path)
    return file.read_text(encoding="utf-8") if file.exists() else None


def _parameter(region: str) -> Callable[[str], str | None]:
    client = _aws("ssm", region)

    def get(name: str) -> str | None:
        try:
            answer = client.get_parameter(Name=name, WithDecryption=True)
        except client.exceptions.ParameterNotFound:
            return None
        except (BotoCoreError, ClientError) as error:
            raise NotConfiguredError(f"AWS does not return {name}: {error}.") from error
        return str(answer["Parameter"]["Value"])

    return get


def _aws(service: str, region: str) -> Any:
    return boto3.client(service, region_name=region)


if __name__ == "__main__":
    sys.exit(main())
