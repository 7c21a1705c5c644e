"""Addresses and credentials of the HashiCorp stack's servers, and their variables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.errors import RequestRefused

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

DEFAULT_REGION: Final = "us-east-1"
DEFAULT_DOCKER: Final = "unix:///var/run/docker.sock"


class VendorServer(msgspec.Struct, frozen=True):
    """Address and credentials of Consul, Vault, Nomad or NATS; the token is in no `repr`.

    The files are PEM: the authority that signed its certificate, and the client's certificate with
    its key. Only Nomad has a namespace; "" is its default. Only NATS has a user, whose password is
    the token, a file of credentials, a comma between the URLs of several servers, and `replicas`,
    the number of servers that store each message: "" for one. `browser` is the URL for browsers, if
    that is not the address.
    """

    address: str
    token: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    namespace: str = ""
    browser: str = ""
    creds_file: str = ""
    replicas: str = ""
    user: str = ""

    @property
    def page(self) -> str:
        """The URL of its user interface."""
        return f"{self.browser or self.address}/ui"

    def __repr__(self) -> str:
        return f"VendorServer({self.address!r})"


class Bucket(msgspec.Struct, frozen=True):
    """A bucket of S3. The endpoint is "" for AWS; the keys are "" for the machine's own role."""

    endpoint: str
    name: str
    region: str = DEFAULT_REGION
    access_key: str = ""
    secret_key: str = ""

    @property
    def address(self) -> str:
        """The bucket's location, for messages."""
        return self.endpoint or f"AWS, {self.region}"

    def __repr__(self) -> str:
        return f"Bucket({self.endpoint!r}, {self.name!r})"


_CONSUL: Final = {
    "address": "CONSUL_HTTP_ADDR",
    "token": "CONSUL_HTTP_TOKEN",
    "ca_file": "CONSUL_CACERT",
    "cert_file": "CONSUL_CLIENT_CERT",
    "key_file": "CONSUL_CLIENT_KEY",
}
_VAULT: Final = {
    "address": "VAULT_ADDR",
    "token": "VAULT_TOKEN",
    "ca_file": "VAULT_CACERT",
    "cert_file": "VAULT_CLIENT_CERT",
    "key_file": "VAULT_CLIENT_KEY",
}
_NOMAD: Final = {
    "address": "NOMAD_ADDR",
    "token": "NOMAD_TOKEN",
    "ca_file": "NOMAD_CACERT",
    "cert_file": "NOMAD_CLIENT_CERT",
    "key_file": "NOMAD_CLIENT_KEY",
    "namespace": "NOMAD_NAMESPACE",
}
_NATS: Final = {
    "address": "NATS_URL",
    "user": "NATS_USER",
    "token": "NATS_TOKEN",
    "creds_file": "NATS_CREDS",
    "ca_file": "NATS_CA",
    "cert_file": "NATS_CERT",
    "key_file": "NATS_KEY",
    "replicas": "NATS_REPLICAS",
}
_REPLICAS: Final = ("", "1", "3", "5")
"""As many servers as agree on what is stored: an even number tolerates no more losses."""
_S3: Final = {
    "endpoint": "PICLOUD_S3_ENDPOINT",
    "name": "PICLOUD_S3_BUCKET",
    "region": "PICLOUD_S3_REGION",
    "access_key": "AWS_ACCESS_KEY_ID",
    "secret_key": "AWS_SECRET_ACCESS_KEY",
}
_SLOTS: Final = {
    "image": "PICLOUD_SLOT_IMAGE",
    "network": "PICLOUD_SLOT_NETWORK",
    "host": "PICLOUD_SLOT_HOST",
    "docker": "PICLOUD_SLOT_DOCKER",
    "gateway_ports": "PICLOUD_SLOT_GATEWAY_PORTS",
}
_REGISTRY: Final = {
    "registry": "PICLOUD_SLOT_REGISTRY",
    "registry_push": "PICLOUD_SLOT_REGISTRY_PUSH",
    "registry_login": "PICLOUD_SLOT_REGISTRY_LOGIN",
}
# Docker takes a first part without a dot and a port for a user of the public registry.
_OF_REGISTRY: Final = re.compile(
    r"([a-z0-9-]+(\.[a-z0-9-]+)+|[a-z0-9-]+(?=:))(:[0-9]{1,5})?(/[a-z0-9]+([._-][a-z0-9]+)*){0,4}"
)
_MOST_REGISTRY: Final = 120
_OPTIONAL: Final = ("docker", "gateway_ports")
_VARIABLES: Final = {"consul": _CONSUL, "vault": _VAULT, "s3": _S3, "nomad": _NOMAD, "nats": _NATS}
PARTS: Final = tuple(_VARIABLES)
"""Names of the servers of the stack."""


class Containers(msgspec.Struct, frozen=True):
    """How docker isolates slots: image, network, and this machine's address in that network.

    `docker` is the address of dockerd, which builds environments. `gateway_ports` are the ports of
    this machine, with commas between them, at which slots reach gateways: one for each API process
    that carries connections to jobs. Without any, jobs cannot be reached. Machines pull images from
    `registry`; the API pushes them to `registry_push`, and `registry_login` is a directory with the
    `config.json` of its login there. Without a registry, slots in images run on this machine only.
    """

    image: str
    network: str
    host: str
    docker: str = DEFAULT_DOCKER
    gateway_ports: str = ""
    registry: str = ""
    registry_push: str = ""
    registry_login: str = ""

    def ports(self) -> list[int]:
        """Return the ports at which slots reach gateways.

        Raises:
            RequestRefused: When one is not a port.

        >>> Containers("i", "n", "h", gateway_ports="10001,10002").ports()
        [10001, 10002]
        """
        texts = [each for each in self.gateway_ports.split(",") if each]
        if not all(each.isascii() and each.isdigit() for each in texts):
            raise RequestRefused(
                f"{_SLOTS['gateway_ports']} is {self.gateway_ports!r:.80}; give ports with commas "
                "between them."
            )
        return [int(each) for each in texts]


class Addresses(msgspec.Struct, frozen=True, kw_only=True):
    """Addresses of all servers of the stack that the API server uses."""

    consul: VendorServer
    vault: VendorServer
    s3: Bucket
    nomad: VendorServer
    nats: VendorServer
    slots: Containers | None = None

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Addresses:
        """Read the addresses from an environment that names all of them.

        Raises:
            RequestRefused: Naming the variables that are missing.
        """
        consul, vault = consul_of(environment), vault_of(environment)
        nomad, s3, nats = nomad_of(environment), s3_of(environment), nats_of(environment)
        if consul and vault and s3 and nomad and nats:
            slots = slots_of(environment)
            return cls(consul=consul, vault=vault, s3=s3, nomad=nomad, nats=nats, slots=slots)
        found = (consul, vault, nomad, s3, nats)
        names = ("CONSUL_HTTP_ADDR", "VAULT_ADDR", "NOMAD_ADDR", "PICLOUD_S3_BUCKET", "NATS_URL")
        missing = ", ".join(name for name, one in zip(names, found, strict=True) if not one)
        raise RequestRefused(f"The hashicorp stack needs {missing} in the environment.")

    def environment(self, names: Collection[str] = PARTS) -> dict[str, str]:
        """Return the environment that `read` and the vendors' own commands read.

        Args:
            names: The servers to name in it.

        >>> names = ("consul", "vault", "nomad", "nats")
        >>> servers = {name: VendorServer(f"http://{name}") for name in names}
        >>> addresses = Addresses(**servers, s3=Bucket("http://s3", "box"))
        >>> Addresses.read(addresses.environment() | {"VAULT_TOKEN": "t"}).s3
        Bucket('http://s3', 'box')
        """
        found: dict[str, str] = {}
        for name in names:
            found |= environment_of(name, getattr(self, name))
        if self.slots:
            named = {**_SLOTS, **_REGISTRY}
            slots = {name: getattr(self.slots, field) for field, name in named.items()}
            found |= {name: value for name, value in slots.items() if value}
        return found


def environment_of(name: str, server: VendorServer | Bucket) -> dict[str, str]:
    """Return the environment that names one server.

    >>> environment_of("nats", VendorServer("nats://n:4222", "t"))
    {'NATS_URL': 'nats://n:4222', 'NATS_TOKEN': 't'}
    """
    values = {variable: getattr(server, field) for field, variable in _VARIABLES[name].items()}
    return {variable: value for variable, value in values.items() if value}


def consul_of(environment: Mapping[str, str]) -> VendorServer | None:
    """Return the Consul that an environment names, or None."""
    return _server(environment, _CONSUL)


def vault_of(environment: Mapping[str, str]) -> VendorServer | None:
    """Return the Vault that an environment names, or None.

    Raises:
        RequestRefused: When the environment has no token for it.
    """
    found = _server(environment, _VAULT)
    if found and not found.token:
        raise RequestRefused(
            f"VAULT_ADDR names the Vault at {found.address}, but VAULT_TOKEN is not set; set it, "
            "or unset VAULT_ADDR to let PiCloud start a Vault of its own."
        )
    return found


def nomad_of(environment: Mapping[str, str]) -> VendorServer | None:
    """Return the Nomad that an environment names, or None."""
    return _server(environment, _NOMAD)


def nats_of(environment: Mapping[str, str]) -> VendorServer | None:
    """Return the NATS that an environment names, or None.

    Raises:
        RequestRefused: When its URL has credentials, which messages would show, or when the number
            of replicas is wrong.
    """
    values = _values(environment, _NATS)
    if "address" not in values:
        return None
    if "@" in values["address"]:
        raise RequestRefused(
            "NATS_URL has credentials in it; set NATS_TOKEN, or NATS_CREDS to a file, instead."
        )
    if (replicas := values.get("replicas", "")) not in _REPLICAS:
        raise RequestRefused(f"NATS_REPLICAS is {replicas!r:.80}; give 1, 3 or 5.")
    urls = [each.strip().rstrip("/") for each in values["address"].split(",")]
    named = [each if "://" in each else f"nats://{each}" for each in urls if each]
    return VendorServer(**{**values, "address": ",".join(named)})


def s3_of(environment: Mapping[str, str]) -> Bucket | None:
    """Return the bucket that an environment names, or None; keys of AWS alone name none.

    Raises:
        RequestRefused: When there is an endpoint, but no bucket.
    """
    values = _values(environment, _S3)
    if not values.keys() & {"endpoint", "name"}:
        return None
    if "name" not in values:
        raise RequestRefused(
            f"PICLOUD_S3_ENDPOINT is {values['endpoint']}, but PICLOUD_S3_BUCKET is not set; set "
            "it to the name of a bucket there."
        )
    return Bucket(**{"endpoint": "", **values})


def slots_of(environment: Mapping[str, str]) -> Containers | None:
    """Return the containers that an environment names, or None.

    Raises:
        RequestRefused: When some of the variables are missing.
    """
    values = _values(environment, _SLOTS)
    if not values:
        return None
    needed = {field: name for field, name in _SLOTS.items() if field not in _OPTIONAL}
    if lacking := [name for field, name in needed.items() if field not in values]:
        named = ", ".join(needed.values())
        raise RequestRefused(f"{' and '.join(lacking)} is not set; set all of {named}, or none.")
    return Containers(**values, **registry_of(environment))


def registry_of(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what `Containers` has of the registry that an environment names; empty for none.

    >>> registry_of({"PICLOUD_SLOT_REGISTRY": "10.0.0.5:5000"})
    {'registry': '10.0.0.5:5000'}

    Raises:
        RequestRefused: When an address is missing, or is not one of a registry.
    """
    values = _values(environment, _REGISTRY)
    for field in values.keys() & {"registry", "registry_push"}:
        if len(values[field]) > _MOST_REGISTRY or not _OF_REGISTRY.fullmatch(values[field]):
            message = f"{_REGISTRY[field]} is {values[field]!r:.80}; give host:port of a registry."
            raise RequestRefused(message)
    if values and "registry" not in values:
        named = ", ".join(_REGISTRY[field] for field in values)
        message = f"{_REGISTRY['registry']} is not set, but {named} is; set it to the registry from"
        raise RequestRefused(f"{message} which machines pull images, as host:port.")
    return values


def _server(environment: Mapping[str, str], names: Mapping[str, str]) -> VendorServer | None:
    values = _values(environment, names)
    if "address" not in values:
        return None
    # Consul's variable may also hold `host:port`.
    scheme = "" if "://" in values["address"] else "http://"
    values["address"] = scheme + values["address"].rstrip("/")
    return VendorServer(**values)


def _values(environment: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    return {field: environment[name] for field, name in names.items() if environment.get(name)}
