"""Makes a machine of a Nomad ready for containers: `python -P -m picloud_driver.docker.machine`.

It makes the network of slots and the firewall around it, as `picloud up` does on its own machine.
Run it at each start of the machine, after docker's; a second call changes nothing.
"""

from __future__ import annotations

import argparse
import sys
from hashlib import sha256
from ipaddress import AddressValueError, IPv4Address
from typing import Final

from picloud_model.errors import PiCloudError

from picloud_driver.docker import firewall
from picloud_driver.docker.engine import Engine

_SOCKET: Final = "unix:///var/run/docker.sock"
_MOST_PORT: Final = 65_535


def main(arguments: list[str] | None = None) -> None:
    """Run the command.

    Raises:
        SystemExit: When the machine cannot be made ready; says why.
    """
    parser = argparse.ArgumentParser(prog="picloud_driver.docker.machine", description=__doc__)
    parser.add_argument("--network", required=True, help="name of the docker network of slots")
    parser.add_argument(
        "--reach",
        type=address,
        action="append",
        default=[],
        metavar="IP:PORT",
        help="where slots reach the API, S3 or a gateway; may be repeated",
    )
    parser.add_argument("--docker", default=_SOCKET, help="address of dockerd")
    chosen = parser.parse_args(arguments)
    if reason := firewall.missing():
        sys.exit(f"The firewall cannot be set up: {reason}.")
    try:
        engine = Engine(chosen.docker)
        network = engine.network(chosen.network, interface(chosen.network))
        firewall.close(network, [], chosen.reach)
    except PiCloudError as error:
        sys.exit(error.message)


def address(text: str) -> tuple[str, int]:
    """Return an IPv4 address and a port.

    >>> address("10.0.0.5:8787")
    ('10.0.0.5', 8787)
    """
    host, _, port = text.rpartition(":")
    try:
        found = str(IPv4Address(host))
    except AddressValueError:
        found = ""
    is_port = port.isascii() and port.isdigit() and 0 < int(port) <= _MOST_PORT
    if not found or not is_port:
        message = f"{text!r:.60} is not an IPv4 address and a port, such as 10.0.0.5:8787"
        raise argparse.ArgumentTypeError(message)
    return found, int(port)


def interface(network: str) -> str:
    """Return the name of the interface of a network, which has at most 15 characters.

    >>> len(interface("picloud"))
    12
    """
    return f"pc{sha256(network.encode()).hexdigest()[:10]}"


if __name__ == "__main__":
    main()
