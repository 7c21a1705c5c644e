"""The firewall around slots: of this machine they reach the API and S3, of its networks nothing.

It is two chains of iptables' a network. They are replaced as a whole, so a second time changes
nothing, and at no moment is there less of it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
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
"""Networks that are somebody's own; a cloud tells a machine's secrets at 169.254.169.254."""
_PATH: Final = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"


def missing() -> str:
    """Why there can be no firewall here; "" when there can."""
    if os.geteuid():
        return "picloud up does not run as root"
    if not shutil.which("iptables-restore", path=_PATH):
        return "iptables is not installed"
    return ""


def close(network: Network, ports: Sequence[int]) -> None:
    """Let containers of a network reach these ports of the machine, and the internet, and no more.

    Raises:
        Unavailable: When iptables refuses.
    """
    to_host, beyond = _chains(network.interface)
    ours = ("-d", network.gateway, "-p", "tcp", "--dport")
    rules: list[tuple[str, ...]] = [(to_host, *ours, str(port), "-j", "ACCEPT") for port in ports]
    rules += [(to_host, "-m", "conntrack", "--ctstate", "ESTABLISHED,RELATED", "-j", "ACCEPT")]
    rules += [(to_host, "-j", "DROP")]
    rules += [(beyond, "-m", "conntrack", "--ctstate", "ESTABLISHED,RELATED", "-j", "RETURN")]
    rules += [(beyond, "-d", private, "-j", "DROP") for private in PRIVATE]
    lines = ["*filter", f":{to_host} - [0:0]", f":{beyond} - [0:0]"]
    lines += [f"-A {' '.join(rule)}" for rule in rules]
    _run("iptables-restore", "--wait", "--noflush", told="\n".join([*lines, "COMMIT", ""]))
    for chain, jump in _jumps(network.interface):
        if not _holds("iptables", "--wait", "-C", chain, *jump):
            _run("iptables", "--wait", "-I", chain, "1", *jump)


def remove(interface: str) -> None:
    """Take away what `close` has made for an interface; what is not there is no matter."""
    if missing():
        return
    for chain, jump in _jumps(interface):
        while _holds("iptables", "--wait", "-D", chain, *jump):
            pass
    for chain in _chains(interface):
        _holds("iptables", "--wait", "-F", chain)
        _holds("iptables", "--wait", "-X", chain)


def _chains(interface: str) -> tuple[str, str]:
    return f"PICLOUD-{interface}-IN", f"PICLOUD-{interface}-OUT"


def _jumps(interface: str) -> list[tuple[str, tuple[str, ...]]]:
    to_host, beyond = _chains(interface)
    # Docker lets traffic of its networks out before FORWARD's other rules, but after these.
    first = "DOCKER-USER" if _holds("iptables", "--wait", "-nL", "DOCKER-USER") else "FORWARD"
    return [("INPUT", ("-i", interface, "-j", to_host)), (first, ("-i", interface, "-j", beyond))]


def _holds(*command: str) -> bool:
    return _called(command).returncode == 0


def _run(*command: str, told: str = "") -> None:
    done = _called(command, told)
    if done.returncode:
        raise Unavailable(f"{command[0]} refuses to close slots in: {done.stderr.strip()}")


def _called(command: Sequence[str], told: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own words, no user's part
        command, input=told, env={"PATH": _PATH}, capture_output=True, text=True, check=False
    )
