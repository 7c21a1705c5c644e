"""`picloud env create`, `ssh`, `save` and the like: environments that are changed by hand."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from cloud import CloudException, environment

from tests.contract.gadget import make_wheel
from tests.current_client import current_client
from tests.e2e.command_line import PICLOUD
from tests.e2e.environment_probe import ask

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cloud._client.client import Client

    from tests.e2e.command_line import Exited
    from tests.e2e.stacks import Stack

WAIT_S = 60.0


def test_an_environment_is_made_by_hand(
    client: Client, other: Client, stack: Stack, picloud: Callable[..., Exited], tmp_path: Path
) -> None:
    """As in the documentation of PiCloud: create, install, save, run, clone, modify, publish.

    A machine is not saved while a command runs in it, and its job ends with it.
    """
    make_wheel(tmp_path / "wheels")
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
        saved = picloud("env", "save-shutdown", "hand").out.splitlines()
        assert saved[-2].startswith("+ gadget ")
        assert saved[-1].startswith("hand is version 1, ")
        assert client.result(client.call(ask, _env="hand"), WAIT_S)[0] == 42
        environment.clone("hand", "copy")
        environment.modify("copy")
        assert environment.wait_for_edit("copy") == environment.get_setup_hostname("copy")
        assert environment.ssh("copy", 'echo "answer = 43" > "$(find . -name gadget.py)"') == 0
        assert environment.save_shutdown("copy", show=len)["version"] == 2
        assert environment.wait_for_idle("copy") == "ready"
        path = environment.make_public("copy")
        assert client.result(client.call(ask, _env="hand"), WAIT_S)[0] == 42
    with current_client(other):
        assert other.result(other.call(ask, _env=path), WAIT_S)[0] == 43
    with current_client(client):
        for name in ("hand", "copy"):
            environment.delete(name)
