"""`picloud env create`, `ssh`, `save` and the like: environments that are changed by hand."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest
from cloud import CloudException, environment

from tests.contract.gadget import make_wheel
from tests.contract.installed_wheel import installed_wheel
from tests.current_client import current_client
from tests.e2e import sandbox_probe
from tests.e2e.command_line import PICLOUD
from tests.e2e.debian_package import debian_package
from tests.e2e.environment_probe import ask, ask_extension
from tests.e2e.stack_docker import DockerStack
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cloud._client.client import Client

    from tests.e2e.command_line import Exited
    from tests.e2e.stacks import Stack

WAIT_S = 60.0
_LOOK = """
import glob, json, socket
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
opened = []
for place in PLACES:
    try:
        socket.create_connection(place, 2).close()
        opened.append(place)
    except OSError:
        pass
text = "".join(
    open(name, errors="replace").read()
    for name in [*glob.glob("/proc/[0-9]*/environ"), *glob.glob("/proc/[0-9]*/cmdline"),
                 *glob.glob("/opt/build/bin/*"), "/proc/self/mountinfo"]
)
sockets = glob.glob("/run/**/*.sock", recursive=True) + glob.glob("/var/run/docker*")
rights = [status[name].strip() for name in ("CapEff", "NoNewPrivs", "Seccomp")]
print(json.dumps([rights, opened, sockets, text]))
"""


@pytest.mark.containers
def test_an_environment_is_made_by_hand(
    client: Client, other: Client, stack: Stack, picloud: Callable[..., Exited], tmp_path: Path
) -> None:
    """As in the documentation of PiCloud: create, install, save, run, clone, modify, publish.

    One of the packages is a C extension. In containers `apt-get` installs another one, and no other
    account can run jobs in what root may have changed: what they share is built. A machine is not
    saved while a command runs in it, and its job ends with it.
    """
    make_wheel(tmp_path / "wheels")
    installed_wheel("markupsafe", tmp_path / "wheels")
    debian_package(tmp_path / "wheels")
    is_isolated = isinstance(stack, DockerStack)
    script = tmp_path / "install.sh"
    script.write_text("#!/bin/sh\npip install wheels/*.whl && exit 4\n")
    with current_client(client):
        base = environment.list_bases()[0]["name"]
        created = picloud("env", "create", "hand", base, "-d", "mine")
        assert "picloud env ssh hand" in created.err
        assert picloud("env", "rsync", f"{tmp_path}/wheels", "hand:").code == 0
        assert picloud("env", "run-script", "hand", str(script)).code == 4
        with subprocess.Popen(
            [PICLOUD, "env", "ssh", "hand", "echo ready; read line"],
            env=stack.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as running:
            assert running.stdout
            assert running.stdout.readline() == b"ready\n"
            with pytest.raises(CloudException, match=r"runs in the setup machine: .*read line"):
                environment.save("hand")
            running.communicate(b"\n", WAIT_S)
        if is_isolated:
            install = 'apt-get install --yes "$PWD/wheels/picloud-gadget.deb"'
            assert picloud("env", "ssh", "hand", install).code == 0
        saved = picloud("env", "save-shutdown", "hand").out.splitlines()
        assert {line.split()[1] for line in saved if line[0] == "+"} >= {"gadget", "markupsafe"}
        assert saved[-1].startswith("hand is version 1, ")
        assert client.result(client.call(ask, _env="hand"), WAIT_S)[0] == 42
        assert client.result(client.call(ask_extension, _env="hand"), WAIT_S) == "&lt;"
        shell = "python -c 'import gadget; print(gadget.answer)'"
        if is_isolated:
            shell += " && cat /usr/share/picloud-gadget/note"
        printed = picloud("result", picloud("exec", "-e", "hand", shell).out.strip()).out
        assert printed.split() == ["42", "hello"][: 1 + is_isolated]
        environment.clone("hand", "copy")
        environment.modify("copy")
        assert environment.wait_for_edit("copy") == environment.get_setup_hostname("copy")
        assert environment.ssh("copy", 'echo "answer = 43" > "$(find . -name gadget.py)"') == 0
        assert environment.save_shutdown("copy", show=len)["version"] == 2
        assert environment.wait_for_idle("copy") == "ready"
        assert client.result(client.call(ask, _env="hand"), WAIT_S)[0] == 42
        assert client.result(client.call(ask, _env="copy"), WAIT_S)[0] == 43
        if is_isolated:
            with pytest.raises(CloudException, match="is for its own account only; build one"):
                environment.make_public("copy")
            module = (
                f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages/gadget.py"
            )
            environment.build("built", {"texts": {module: "answer = 43"}}, show=len)
        path = environment.make_public("built" if is_isolated else "copy")
    with current_client(other):
        assert other.result(other.call(ask, _env=path), WAIT_S)[0] == 43
    with current_client(client):
        for name in ("hand", "copy", *(["built"] if is_isolated else ())):
            environment.delete(name)


@pytest.mark.containers(only=True)
def test_root_in_a_setup_machine_reaches_nothing_else(
    client: Client, other: Client, stack: Stack, picloud: Callable[..., Exited], tmp_path: Path
) -> None:
    """It has docker's rights of root less two, no secret, no socket, and no way to other slots.

    Debian's packages can be installed; jobs run in what was saved, and none in the machine.
    """
    assert isinstance(stack, DockerStack)
    addresses = stack.addresses()
    assert addresses.slots is not None
    host = addresses.slots.host
    listening = other.call(sandbox_probe.listen, 4 * WAIT_S)
    slot = until(lambda: ports_of(other, listening), "a job of another account listens")
    consul = addresses.consul.browser or addresses.consul.address
    servers = (addresses.nomad.address, consul, addresses.vault.address)
    control = [int(each.rpartition(":")[2]) for each in servers]
    package = debian_package(tmp_path)
    with current_client(client), socket.create_server(("0.0.0.0", 0)) as canary:
        places = [(host, port) for port in (*control, canary.getsockname()[1])]
        places += [slot, ("169.254.169.254", 80)]
        environment.create("rooted", "base/bookworm")
        script = tmp_path / "look.py"
        script.write_text(f"#!/usr/bin/python3\nPLACES = {places!r}\n{_LOOK}")
        assert picloud("env", "rsync", str(package), "rooted:/tmp/picloud-gadget.deb").code == 0
        seen = picloud("env", "run-script", "rooted", str(script))
        assert seen.code == 0, seen.err
        rights, opened, sockets, text = json.loads(seen.out)
        install = "apt-get install --yes /tmp/picloud-gadget.deb"
        assert picloud("env", "ssh", "rooted", install).code == 0
        with pytest.raises(CloudException, match="No job runs in the setup machine of 'rooted'"):
            client.call(pow, 2, 2, _env="setup/rooted")
        saved = picloud("env", "save-shutdown", "rooted").out.splitlines()
        jid = client.call(os.path.exists, "/usr/share/picloud-gadget/note", _env="rooted")
        assert client.result(jid, WAIT_S) is True
        assert picloud("result", picloud("exec", "-e", "rooted", "echo", "2").out.strip()).out == (
            "2\n"
        )
        recipe = tomllib.loads(picloud("env", "recipe", "rooted").out)
        assert recipe == {"base": "base/bookworm", "apt": ["picloud-gadget"]}
        with pytest.raises(CloudException, match="has no setup machine"):
            environment.ssh("rooted", "true")
        environment.delete("rooted")
    other.kill(listening)
    assert "+ picloud-gadget (Debian) 1.0" in saved
    # CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE,
    # SYS_CHROOT, AUDIT_WRITE and SETFCAP.
    assert rights == ["00000000a00405fb", "1", "2"]
    assert (opened, sockets) == ([], [])
    found = [name for name, secret in stack.secrets().items() if secret.decode("latin-1") in text]
    assert found == []


def ports_of(client: Client, jid: int) -> tuple[str, int] | None:
    """Return the address of a slot and a port on which its job listens, once it does."""
    printed = (client.info(jid, ["stdout"])[jid].get("stdout") or "").strip()
    return (printed, 7777) if printed else None
