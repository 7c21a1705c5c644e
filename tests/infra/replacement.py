"""Secrets of a cluster that are replaced: how machines take them, and what servers accept."""

from __future__ import annotations

import shlex
import subprocess
from typing import TYPE_CHECKING, Final

from tests.infra.cluster import CLIENTS, LATE_S, ROOT, SERVERS
from tests.polling import until

if TYPE_CHECKING:
    from tests.infra.cluster import Cluster

PORTS: Final = {"consul": 8501, "vault": 8200, "nomad": 4646, "nats": 4222}
SHOWN: Final = """
import socket, ssl, sys

own = "/etc/picloud/machine/secrets"
context = ssl.create_default_context(cafile=f"{own}/ca.pem")
context.load_cert_chain(f"{own}/cert.pem", f"{own}/key.pem")
address, port = sys.argv[1:]
with socket.create_connection((address, int(port)), timeout=10) as plain:
    if port == "4222":
        assert plain.recv(4096).startswith(b"INFO")  # NATS greets before TLS begins
    with context.wrap_socket(plain, server_hostname="picloud-servers") as encrypted:
        print(ssl.DER_cert_to_PEM_cert(encrypted.getpeercert(binary_form=True)))
"""
"""Prints the certificate that a server shows."""
TRIED: Final = """
import socket, ssl, sys

folder, address, port = sys.argv[1:]
context = ssl.create_default_context(cafile="/etc/picloud/machine/secrets/ca.pem")
context.load_cert_chain(f"{folder}/cert.pem", f"{folder}/key.pem")
with socket.create_connection((address, int(port)), timeout=10) as plain:
    if port == "4222":
        assert plain.recv(4096).startswith(b"INFO")
    try:
        with context.wrap_socket(plain, server_hostname="picloud-servers") as encrypted:
            encrypted.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
            print("accepted" if encrypted.recv(4096) else "refused")
    except (ssl.SSLError, ConnectionError):
        print("refused")
"""
"""Prints whether a server accepts a certificate."""
SIGNED_IN: Final = """
import asyncio, sys
from picloud_driver.nats.access import NatsAccess
from picloud_driver.nats.gateway import NatsGateway
from picloud_driver.nats.users import user_of
from picloud_model.errors import Unavailable

async def main(own="/etc/picloud/machine/secrets"):
    token = open(sys.argv[1]).read().strip()
    files = {f"{name}_file": f"{own}/{name}.pem" for name in ("ca", "cert", "key")}
    access = NatsAccess("tls://picloud-servers:4222", token, user_of(token), **files)
    gateway = NatsGateway(access)
    try:
        await gateway.api("INFO")
        print("accepted")
    except Unavailable as error:
        print(error.message)
    await gateway.close()

asyncio.run(main())
"""
"""Prints whether NATS accepts a token, or why not."""
SECRETS: Final = "/etc/picloud/secrets"
"""The secrets of an API machine, where the Parameter Store has them at AWS."""


def on_api(cluster: Cluster, source: str, *arguments: object) -> str:
    """Return what a Python program prints on the API machine."""
    words = shlex.join(("/opt/picloud/venv/bin/python", "-c", source, *map(str, arguments)))
    return cluster.execute("api", words).strip()


def shown(cluster: Cluster, address: str, port: int) -> str:
    """Return the certificate that a server shows."""
    return on_api(cluster, SHOWN, address, port)


def accepting(cluster: Cluster, folder: str) -> list[str]:
    """Return the servers that accept the certificate in a directory of the API machine."""
    return [
        f"{program} on {name}"
        for name, address in SERVERS.items()
        for program, port in PORTS.items()
        if on_api(cluster, TRIED, folder, address, port) == "accepted"
    ]


def make_secrets(cluster: Cluster, step: str) -> None:
    """Replace secrets, and let all machines take them."""
    command = [str(ROOT / "packer" / "make-secrets.sh"), step, str(cluster.secrets)]
    subprocess.run(command, check=True, capture_output=True)
    for name in (*SERVERS, *CLIENTS, *cluster.api_machines):
        cluster.execute(name, "/opt/picloud/boot/renew /etc/picloud/machine.json")


def start_again(cluster: Cluster, name: str, program: str) -> None:
    """End a program of a machine, and wait until it is started again."""
    read = f"cat /run/picloud/{program}"
    before = cluster.execute(name, read)
    cluster.execute(name, f"kill {before}")
    until(lambda: cluster.execute(name, read) != before, f"{program} starts on {name}", LATE_S)


def start_vaults_again(cluster: Cluster) -> None:
    """Start all, one at a time: each is unsealed before the next one ends."""
    for name in SERVERS:
        start_again(cluster, name, "vault")
        cluster.unseal(name)
