"""The firewall around slots: they can reach the API, S3 and the internet, but no private network.

Of a private network they reach the nameservers of this machine, at the port of DNS only: docker
forwards the requests of a container from its own network. If the API and S3 are on other machines,
they reach these there, at their ports only.

It consists of two iptables chains per network. They are replaced atomically, so setting it up again
changes nothing and never weakens it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, Final

from picloud_model.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_driver.docker.engine import Network

PRIVATE: Final = (
    "10.0.0.0/8",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
)
"""Private networks; 169.254.169.254 is where a cloud serves a machine's secrets."""
_RESOLVERS: Final = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))
"""What docker reads: the second where the first names systemd's own nameserver."""
_PATH: Final = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"


def missing() -> str:
    """Return why no firewall can be set up here, or ""."""
    if os.geteuid():
        return "picloud up does not run as root"
    if not shutil.which("iptables-restore", path=_PATH):
        return "iptables is not installed"
    return ""


def close(network: Network, ports: Sequence[int], reached: Sequence[tuple[str, int]] = ()) -> None:
    """Let containers of a network reach these ports of the machine and the internet only.

    Args:
        network: The network of slots.
        ports: The ports of this machine that they reach.
        reached: Addresses in private networks that they reach besides, each with a port.

    Raises:
        Unavailable: When iptables refuses.
    """
    texts = []
    for file in _RESOLVERS:
        with contextlib.suppress(OSError):
            texts.append(file.read_text(errors="replace"))
    _run(
        "iptables-restore",
        "--wait",
        "--noflush",
        text=rules(network, ports, nameservers("\n".join(texts)), reached),
    )
    for chain, jump in _jumps(network.interface):
        if not _succeeds("iptables", "--wait", "-C", chain, *jump):
            _run("iptables", "--wait", "-I", chain, "1", *jump)


def rules(
    network: Network,
    ports: Sequence[int],
    servers: Sequence[str],
    reached: Sequence[tuple[str, int]] = (),
) -> str:
    """Return the rules for a network, for `iptables-restore`.

    Args:
        network: The network of slots.
        ports: The ports of this machine that they reach.
        servers: The addresses of nameservers.
        reached: Addresses in private networks that they reach besides, each with a port.
    """
    to_host, beyond = _chains(network.interface)
    accept = ("-j", "ACCEPT")
    names = [
        ("-d", server, "-p", protocol, "--dport", "53")
        for server in servers
        for protocol in ("udp", "tcp")
    ]
    names += [("-d", address, "-p", "tcp", "--dport", str(port)) for address, port in reached]
    destination = ("-d", network.gateway, "-p", "tcp", "--dport")
    lines: list[tuple[str, ...]] = [(to_host, *destination, str(port), *accept) for port in ports]
    lines += [(to_host, *name, *accept) for name in names]
    lines += [(to_host, "-m", "conntrack", "--ctstate", "ESTABLISHED,RELATED", *accept)]
    lines += [(to_host, "-j", "DROP")]
    lines += [(beyond, "-m", "conntrack", "--ctstate", "ESTABLISHED,RELATED", "-j", "RETURN")]
    lines += [(beyond, *name, "-j", "RETURN") for name in names]
    lines += [(beyond, "-d", private, "-j", "DROP") for private in PRIVATE]
    head = ["*filter", f":{to_host} - [0:0]", f":{beyond} - [0:0]"]
    return "\n".join([*head, *(f"-A {' '.join(line)}" for line in lines), "COMMIT", ""])


def nameservers(text: str) -> list[str]:
    r"""Return the addresses of the nameservers that a `resolv.conf` names.

    Docker itself reaches those on the loopback interface, which containers have no way to.

    >>> nameservers("nameserver 10.0.0.2\nnameserver 127.0.0.53\nnameserver fe80::1%eth0")
    ['10.0.0.2']
    """
    found = []
    for line in text.splitlines():
        match line.split():
            case ["nameserver", address, *_]:
                with contextlib.suppress(AddressValueError):
                    if not IPv4Address(address).is_loopback:
                        found.append(address)
    return list(dict.fromkeys(found))


def remove(interface: str) -> None:
    """Remove the chains of an interface, if any."""
    if missing():
        return
    for chain, jump in _jumps(interface):
        while _succeeds("iptables", "--wait", "-D", chain, *jump):
            pass
    for chain in _chains(interface):
        _succeeds("iptables", "--wait", "-F", chain)
        _succeeds("iptables", "--wait", "-X", chain)


def _chains(interface: str) -> tuple[str, str]:
    return f"PICLOUD-{interface}-IN", f"PICLOUD-{interface}-OUT"


def _jumps(interface: str) -> list[tuple[str, tuple[str, ...]]]:
    to_host, beyond = _chains(interface)
    # Docker accepts traffic of its networks before the other rules of FORWARD, but after these.
    first = "DOCKER-USER" if _succeeds("iptables", "--wait", "-nL", "DOCKER-USER") else "FORWARD"
    return [("INPUT", ("-i", interface, "-j", to_host)), (first, ("-i", interface, "-j", beyond))]


def _succeeds(*command: str) -> bool:
    return _call(command).returncode == 0


def _run(*command: str, text: str = "") -> None:
    done = _call(command, text)
    if done.returncode:
        raise Unavailable(f"{command[0]} refuses to set up the firewall: {done.stderr.strip()}")


def _call(command: Sequence[str], text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - no part comes from a user
        command, input=text, env={"PATH": _PATH}, capture_output=True, text=True, check=False
    )
