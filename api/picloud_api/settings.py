"""Settings of a server process: the only module that reads its command line and environment."""

from __future__ import annotations

import argparse
import ipaddress
import os
import pwd
import re
import socket
import sys
import tomllib
from importlib.util import find_spec
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import msgspec
from picloud_driver.gateway import PublicHost
from picloud_driver.identity import IssuerAccess
from picloud_driver.stack.addresses import Addresses
from picloud_driver.webhook.network_policy import IPNetwork
from picloud_model.core import CORE_TYPES
from picloud_model.errors import PiCloudError
from picloud_model.wire.gateway import StreamLimits
from picloud_model.wire.tunnel import PortAccess

from picloud_api.usecases.accounts.price import PriceList
from picloud_api.usecases.accounts.quota import Quotas
from picloud_api.usecases.jobs.visits.content_site import ContentSite
from picloud_api.usecases.jobs.visits.published_site import LOCAL, PublishedSite

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ")
"""The variables of the server that slots inherit; others may hold secrets."""
_OF_BUILDS = (
    *("PATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("UV_CACHE_DIR", "UV_DEFAULT_INDEX", "UV_INDEX", "UV_FIND_LINKS", "UV_NO_INDEX", "UV_OFFLINE"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
)
"""The variables of the server that builds of environments inherit."""
_MAX_PROCESSES = 64


class NomadSlots(msgspec.Struct, frozen=True):
    """The Python and the user with which Nomad runs slots on its machines, and the URL they use.

    The user is empty if Nomad does not run as root: then everything runs as Nomad's user. The URL
    is empty for that of this server: a name that several API machines share outlives each of them.
    """

    python: str
    user: str
    url: str = ""

    @property
    def is_own_user(self) -> bool:
        """Whether slots run as the user of this process."""
        return self.user in ("", pwd.getpwuid(os.geteuid()).pw_name)


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one server; a file descriptor is -1 if it was not given.

    `servers` are those of the hashicorp stack, None for the embedded stack. Finished jobs are
    deleted after `keep_days`, and what nothing refers to after `sweep_hours`; 0 for never. Webhooks
    may be sent to `webhook_networks` besides the public Internet. `prices` are None to leave
    them as they are. Spans of calls are posted to `traces_url`; "" for nowhere. People may sign in
    at the `issuer`, if there is one.
    """

    data: Path
    host: str
    port: int
    slots: int
    ready_fd: int
    owner_fd: int
    synchronous: str
    idle_s: float
    discard: bool
    slot_environment: dict[str, str]
    crashpoint: str
    log_level: str
    processes: int = 1
    keep_days: float = 0.0
    sweep_hours: float = 24.0
    build_environment: dict[str, str] = {}
    servers: Addresses | None = None
    quotas: Quotas = Quotas()
    prices: PriceList | None = None
    public_host: PublicHost = PublicHost()
    content_site: ContentSite = ContentSite()
    published_site: PublishedSite = PublishedSite()
    stream_limits: StreamLimits = StreamLimits()
    webhook_networks: tuple[IPNetwork, ...] = ()
    nomad: NomadSlots = NomadSlots(sys.executable, "")
    traces_url: str = ""
    issuer: IssuerAccess | None = None


def read(arguments: Sequence[str], environment: Mapping[str, str]) -> ServerSettings:
    """Read the command line of `python -m picloud_api` and the server's environment.

    >>> read(["--data", "/tmp/d"], {}).port
    8787
    """
    chosen = _parser().parse_args(arguments)
    embedded = chosen.stack == "embedded"
    if 0 < chosen.sweep_hours < 1:
        sys.exit("--sweep-hours takes 0 for never, or 1 or more.")
    if not 1 <= chosen.processes <= (1 if embedded else _MAX_PROCESSES):
        sys.exit(
            "The embedded stack is served by one process; leave out --processes."
            if embedded
            else f"--processes takes 1 to {_MAX_PROCESSES}."
        )
    return ServerSettings(
        data=chosen.data.absolute(),
        host=chosen.host,
        port=chosen.port,
        slots=chosen.slots,
        ready_fd=chosen.ready_fd,
        owner_fd=chosen.owner_fd,
        synchronous=chosen.synchronous,
        idle_s=chosen.idle,
        discard=chosen.discard,
        slot_environment={name: environment[name] for name in _PASSED_ON if name in environment},
        build_environment={name: environment[name] for name in _OF_BUILDS if name in environment},
        crashpoint=environment.get("PICLOUD_CRASHPOINT", ""),
        log_level=environment.get("PICLOUD_LOG_LEVEL", "info"),
        processes=chosen.processes,
        keep_days=chosen.keep_days,
        sweep_hours=chosen.sweep_hours,
        servers=None if embedded else _servers(environment),
        quotas=_quotas(environment),
        prices=None if chosen.prices is None else _prices(chosen.prices),
        public_host=_public_host(chosen.host, environment.get("PICLOUD_PORTS", "")),
        content_site=_content_site(chosen.host, environment),
        published_site=_published_site(chosen.host, environment.get("PICLOUD_PUBLISHED_URL", "")),
        stream_limits=_stream_limits(environment),
        webhook_networks=_networks(environment),
        nomad=NomadSlots(
            environment.get("PICLOUD_SLOT_PYTHON") or sys.executable,
            environment.get("PICLOUD_SLOT_USER", "" if os.geteuid() else "root"),
            _slot_url(environment.get("PICLOUD_SLOT_URL", "")),
        ),
        traces_url=_traces_url(environment.get("PICLOUD_TRACES_URL", "")),
        issuer=_issuer(environment),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m picloud_api",
        description="PiCloud's server. `picloud up` starts it for you.",
    )
    parser.add_argument("--data", type=Path, required=True, help="directory of all data")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument(
        "--port", type=int, default=8787, help="port to listen on; 0 for a free one"
    )
    parser.add_argument("--slots", type=int, default=os.cpu_count() or 1, help="number of slots")
    parser.add_argument(
        "--idle", type=float, default=60.0, help="seconds after which an idle slot ends"
    )
    parser.add_argument(
        "--synchronous",
        choices=("NORMAL", "FULL"),
        default="NORMAL",
        help="NORMAL survives crashes of processes, FULL also power failures",
    )
    parser.add_argument(
        "--stack",
        choices=("embedded", "hashicorp"),
        default="embedded",
        help="embedded: this data directory; hashicorp: the servers that the environment names",
    )
    parser.add_argument(
        "--processes", type=int, default=1, help="number of API processes; embedded: 1"
    )
    parser.add_argument(
        "--keep-days",
        type=float,
        default=0.0,
        help="days after which finished jobs are deleted; 0: never",
    )
    parser.add_argument(
        "--sweep-hours",
        type=float,
        default=24.0,
        help="hours after which stored bytes that nothing refers to are deleted; 0: never",
    )
    parser.add_argument("--prices", type=Path, help="TOML file of prices and free core hours")
    parser.add_argument(
        "--discard", action="store_true", help="remove the data when the server stops"
    )
    parser.add_argument("--ready-fd", type=int, default=-1, help=argparse.SUPPRESS)
    parser.add_argument("--owner-fd", type=int, default=-1, help=argparse.SUPPRESS)
    return parser


def _quotas(environment: Mapping[str, str]) -> Quotas:
    """Read what one account may have at once: `PICLOUD_MAX_JOBS` and the like."""
    fields = Quotas.__struct_fields__
    return Quotas(**_numbers(environment, "PICLOUD_MAX", fields, "a whole number"))


def _numbers(
    environment: Mapping[str, str], prefix: str, fields: Sequence[str], what: str
) -> dict[str, int]:
    """Read a number for each field, from 1 on, from those variables that are set."""
    chosen: dict[str, int] = {}
    for field in fields:
        name = f"{prefix}_{field.upper()}"
        value = environment.get(name, "")
        if value:
            if not (value.isascii() and value.isdigit()) or int(value) < 1:
                sys.exit(f"{name} is {value!r}; give {what} from 1 on.")
            chosen[field] = int(value)
    return chosen


def _prices(path: Path) -> PriceList:
    """Read a list of prices, with a line such as `c1 = 0.04` for each core type."""
    try:
        listed = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        sys.exit(f"The list of prices {path} cannot be read: {error}.".replace("..", "."))
    environments = _table(path, listed, "environments")
    for name in environments:
        if not name.startswith(("base/", "/")):
            sys.exit(f"{path}: environments are named base/NAME or /ACCOUNT/NAME, not {name!r}.")
    special = {
        name: _by_core_type(path, _table(path, environments, name), "price", "dollars an hour")
        for name in environments
    }
    free = _by_core_type(path, _table(path, listed, "free"), "free time", "core hours a month")
    prices = {name: each for name, each in listed.items() if name not in ("environments", "free")}
    dollars = _by_core_type(path, prices, "price", "dollars an hour")
    if "free" not in listed:
        return PriceList(dollars_per_hour=dollars, environments=special)
    return PriceList(dollars_per_hour=dollars, environments=special, free=free)


def _table(path: Path, listed: Mapping[str, object], name: str) -> Mapping[str, object]:
    """Return a table of a list of prices; one that is missing is empty."""
    table = listed.get(name, {})
    if not isinstance(table, dict):
        sys.exit(f"{path}: {name!r} is {table!r}; make it a table.")
    return table


def _by_core_type(
    path: Path, listed: Mapping[str, object], what: str, unit: str
) -> dict[str, float]:
    """Return the numbers for some core types."""
    numbers: dict[str, float] = {}
    for name, number in listed.items():
        if name not in CORE_TYPES:
            sys.exit(f"{path}: there is no core type {name!r}; there are {', '.join(CORE_TYPES)}.")
        if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number < inf:
            sys.exit(f"{path}: the {what} of {name} is {number!r}; give {unit}, from 0 on.")
        numbers[name] = float(number)
    return numbers


def _public_host(host: str, access: str) -> PublicHost:
    """Return where public ports of jobs are reached.

    They are public by default where only this machine can connect.

    >>> _public_host("127.0.0.1", ""), _public_host("10.0.0.5", "").by_default
    (PublicHost(address='127.0.0.1', by_default=True), False)
    """
    if access not in ("", *get_args(PortAccess)):
        sys.exit(f"PICLOUD_PORTS is {access!r}; give {' or '.join(get_args(PortAccess))}.")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        is_local, is_any = host == "localhost", not host
    else:
        is_local, is_any = address.is_loopback, address.is_unspecified
    public = access == "public" or (is_local and not access)
    return PublicHost(socket.gethostname() if is_any else host, public)


def _content_site(host: str, environment: Mapping[str, str]) -> ContentSite:
    """Read at which hosts browsers reach notebooks.

    They resolve names below `localhost` to their own machine, so no setting is needed there.

    >>> _content_site("127.0.0.1", {}).domain, _content_site("10.0.0.5", {}).domain
    ('localhost', '')
    """
    url = environment.get("PICLOUD_CONTENT_URL", "")
    port = environment.get("PICLOUD_CONTENT_PORT", "")
    if port and not (port.isascii() and port.isdigit() and int(port) < 2**16):
        sys.exit(f"PICLOUD_CONTENT_PORT is {port!r:.80}; give a port, such as 8790.")
    listen = int(port) if port else None
    if not url:
        is_local = _public_host(host, "").by_default
        return ContentSite(domain="localhost" if is_local else "", listen=listen or 0)
    site = ContentSite.read(url, listen)
    if site is None:
        sys.exit(f"PICLOUD_CONTENT_URL is {url!r:.80}; give one such as https://*.example.org.")
    return site


def _published_site(host: str, url: str) -> PublishedSite:
    """Read at which host browsers reach what users publish; "off" for that of the pages.

    >>> _published_site("127.0.0.1", "").url, _published_site("10.0.0.5", "").url
    ('http://127.0.0.2', '')
    """
    if url == "off":
        return PublishedSite()
    if not url:
        is_local = host in ("127.0.0.1", "localhost")
        return PublishedSite(f"http://{LOCAL}", is_own=True) if is_local else PublishedSite()
    site = PublishedSite.read(url)
    if site is None:
        sys.exit(
            f"PICLOUD_PUBLISHED_URL is {url!r:.80}; give one such as "
            "https://published.example.org, or off."
        )
    return site


def _stream_limits(environment: Mapping[str, str]) -> StreamLimits:
    """Read how long streams to jobs may last.

    >>> _stream_limits({"PICLOUD_STREAM_IDLE_S": "60"})
    StreamLimits(idle_s=60.0, longest_s=604800.0)
    """
    fields = StreamLimits.__struct_fields__
    chosen = _numbers(environment, "PICLOUD_STREAM", fields, "a number of seconds")
    return StreamLimits(**{field: float(value) for field, value in chosen.items()})


def _networks(environment: Mapping[str, str]) -> tuple[IPNetwork, ...]:
    """Read the networks, besides the public Internet, that webhooks may be sent to."""
    name = "PICLOUD_WEBHOOK_NETWORKS"
    listed = environment.get(name, "").replace(",", " ").split()
    try:
        return tuple(map(ipaddress.ip_network, listed))
    except ValueError as error:
        sys.exit(f"{name}: {error}; give networks as 10.1.0.0/16, separated by commas.")


def _slot_url(url: str) -> str:
    """Check the URL at which slots reach the API: "" for that of this server."""
    if url and not re.fullmatch(r"https?://[A-Za-z0-9.:\[\]_-]{1,255}/?", url):
        sys.exit(f"PICLOUD_SLOT_URL is {url!r:.80}; give a URL such as http://picloud-api:8787.")
    return url.rstrip("/")


def _traces_url(url: str) -> str:
    """Check the URL to which spans are posted: "" for nowhere."""
    if url and not re.fullmatch(r"https?://[!\"$-~]{1,1000}", url):
        sys.exit(
            f"PICLOUD_TRACES_URL is {url!r:.80}; give the URL of a collector, such as "
            "http://127.0.0.1:4318/v1/traces."
        )
    if url and find_spec("opentelemetry") is None:
        sys.exit("PICLOUD_TRACES_URL needs OpenTelemetry: pip install 'picloud[otel]'.")
    return url


def _issuer(environment: Mapping[str, str]) -> IssuerAccess | None:
    """Read at which issuer of OpenID Connect people may sign in.

    >>> _issuer({}) is None
    True
    """
    names = [f"PICLOUD_OIDC_{name}" for name in ("ISSUER", "CLIENT_ID", "CLIENT_SECRET")]
    url, client_id, client_secret = values = [environment.get(name, "") for name in names]
    if not any(values):
        return None
    if not all(values):
        lacking = next(name for name, value in zip(names, values, strict=True) if not value)
        sys.exit(f"{lacking} is not set: give all of {', '.join(names)}.")
    if not re.fullmatch(r"https?://[!\"$-~]{1,1000}", url):
        sys.exit(f"{names[0]} is {url!r:.80}; give a URL such as https://accounts.example.org.")
    return IssuerAccess(url=url.rstrip("/"), client_id=client_id, client_secret=client_secret)


def _servers(environment: Mapping[str, str]) -> Addresses:
    try:
        return Addresses.read(environment)
    except PiCloudError as error:
        sys.exit(error.message)
