"""Where the servers of the HashiCorp stack answer, and as whom; and how an environment says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.errors import RequestRefused

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

DEFAULT_REGION: Final = "us-east-1"


class Server(msgspec.Struct, frozen=True):
    """Where Consul, Vault or Nomad answers; the token is in no `repr`.

    The files are PEM: who signed its certificate, and our own certificate with its key. A
    namespace only Nomad has; "" is its default.
    """

    address: str
    token: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    namespace: str = ""

    def __repr__(self) -> str:
        return f"Server({self.address!r})"


class Bucket(msgspec.Struct, frozen=True):
    """A bucket of S3: the endpoint is "" for AWS, the keys for the machine's own role."""

    endpoint: str
    name: str
    region: str = DEFAULT_REGION
    access_key: str = ""
    secret_key: str = ""

    @property
    def address(self) -> str:
        """Where it lies, for messages."""
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
_VAULT: Final = {"address": "VAULT_ADDR", "token": "VAULT_TOKEN", "ca_file": "VAULT_CACERT"}
_NOMAD: Final = {
    "address": "NOMAD_ADDR",
    "token": "NOMAD_TOKEN",
    "ca_file": "NOMAD_CACERT",
    "cert_file": "NOMAD_CLIENT_CERT",
    "key_file": "NOMAD_CLIENT_KEY",
    "namespace": "NOMAD_NAMESPACE",
}
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
}
_VARIABLES: Final = {"consul": _CONSUL, "vault": _VAULT, "s3": _S3, "nomad": _NOMAD}
PARTS: Final = tuple(_VARIABLES)
"""Names of the servers of the stack."""


class Containers(msgspec.Struct, frozen=True):
    """What slots run in where docker isolates them, and this machine's address as they see it."""

    image: str
    network: str
    host: str


class Addresses(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the server needs to know of the stack below it."""

    consul: Server
    vault: Server
    s3: Bucket
    nomad: Server
    slots: Containers | None = None

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Addresses:
        """Of an environment that names all of them.

        Raises:
            RequestRefused: Naming the variables that are missing.
        """
        consul, vault = given_consul(environment), given_vault(environment)
        nomad, s3 = given_nomad(environment), given_s3(environment)
        if consul and vault and s3 and nomad:
            slots = given_slots(environment)
            return cls(consul=consul, vault=vault, s3=s3, nomad=nomad, slots=slots)
        found = (consul, vault, nomad, s3)
        names = ("CONSUL_HTTP_ADDR", "VAULT_ADDR", "NOMAD_ADDR", "PICLOUD_S3_BUCKET")
        missing = ", ".join(name for name, one in zip(names, found, strict=True) if not one)
        raise RequestRefused(f"The hashicorp stack needs {missing} in the environment.")

    def environment(self, names: Collection[str] = PARTS) -> dict[str, str]:
        """The environment that `read` reads, and the vendors' own commands as well.

        Args:
            names: Of the servers that it is to name.

        >>> servers = {name: Server(f"http://{name}") for name in ("consul", "vault", "nomad")}
        >>> found = Addresses(**servers, s3=Bucket("http://s3", "box"))
        >>> Addresses.read(found.environment() | {"VAULT_TOKEN": "t"}).s3
        Bucket('http://s3', 'box')
        """
        values = [
            (variable, getattr(getattr(self, name), field))
            for name in names
            for field, variable in _VARIABLES[name].items()
        ]
        if self.slots:
            values += [(name, getattr(self.slots, field)) for field, name in _SLOTS.items()]
        return {variable: value for variable, value in values if value}


def given_consul(environment: Mapping[str, str]) -> Server | None:
    """The Consul that an environment names."""
    return _server(environment, _CONSUL)


def given_vault(environment: Mapping[str, str]) -> Server | None:
    """The Vault that an environment names.

    Raises:
        RequestRefused: When no token comes with it.
    """
    found = _server(environment, _VAULT)
    if found and not found.token:
        raise RequestRefused(
            f"VAULT_ADDR names the Vault at {found.address}, but VAULT_TOKEN is not set; set it, "
            "or unset VAULT_ADDR to let PiCloud start a Vault of its own."
        )
    return found


def given_nomad(environment: Mapping[str, str]) -> Server | None:
    """The Nomad that an environment names."""
    return _server(environment, _NOMAD)


def given_s3(environment: Mapping[str, str]) -> Bucket | None:
    """The bucket that an environment names; keys of AWS alone name none.

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


def given_slots(environment: Mapping[str, str]) -> Containers | None:
    """The containers that an environment names.

    Raises:
        RequestRefused: When it names them in part.
    """
    values = _values(environment, _SLOTS)
    if not values:
        return None
    if lacking := [_SLOTS[field] for field in _SLOTS if field not in values]:
        named = ", ".join(_SLOTS.values())
        raise RequestRefused(f"{' and '.join(lacking)} is not set; set all of {named}, or none.")
    return Containers(**values)


def _server(environment: Mapping[str, str], names: Mapping[str, str]) -> Server | None:
    values = _values(environment, names)
    if "address" not in values:
        return None
    # Of Consul's, `host:port` is an address as well.
    scheme = "" if "://" in values["address"] else "http://"
    values["address"] = scheme + values["address"].rstrip("/")
    return Server(**values)


def _values(environment: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    return {field: environment[name] for field, name in names.items() if environment.get(name)}
