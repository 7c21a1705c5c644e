"""Wiring: the adapters of a stack, and the server over them."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from picloud_api import wiring
from picloud_api.settings import read
from picloud_api.store.layout import FORMAT
from picloud_api.store.view import check_format
from picloud_model.errors import PiCloudError

from tests.unit.api.absent_servers import SERVERS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.api.api_harness import ApiHarness

URL = "http://127.0.0.1:8787"


def adapters(ports: wiring.Ports) -> list[str]:
    """Return the name of each port's adapter."""
    return [getattr(ports, name).adapter for name in ports.__struct_fields__]


async def close(ports: wiring.Ports) -> None:
    """Close all ports."""
    for name in ports.__struct_fields__:
        await getattr(ports, name).close()


async def test_the_embedded_stack_is_the_data_directory(tmp_path: Path) -> None:
    """All of its adapters work without a server of another vendor."""
    ports = await wiring.open_ports(read(["--data", str(tmp_path)], {}), URL)

    assert adapters(ports) == [
        "sqlite",
        "directory",
        "directory",
        "sqlite",
        "file",
        "local",
        "venv",
        "process",
        "direct",
        "off",
        "none",
    ]
    await close(ports)


async def test_the_hashicorp_stack_is_the_servers_of_the_environment(tmp_path: Path) -> None:
    """Its adapters are made without a connection: nothing listens at these addresses."""
    arguments = ["--data", str(tmp_path), "--stack", "hashicorp"]

    ports = await wiring.open_ports(read(arguments, SERVERS.environment()), URL)

    assert adapters(ports) == [
        "consul",
        "s3",
        "s3",
        "nats",
        "vault",
        "nomad",
        "venv",
        "process",
        "direct",
        "off",
        "none",
    ]
    await close(ports)


def test_spans_are_sent_if_there_is_a_url_for_them(tmp_path: Path) -> None:
    """Nothing connects before the first one."""
    url = "http://127.0.0.1:1/v1/traces"
    environment = {**SERVERS.environment(), "PICLOUD_TRACES_URL": url}
    settings = read(["--data", str(tmp_path), "--stack", "hashicorp"], environment)
    assert settings.servers is not None

    ports = wiring.hashicorp(settings, settings.servers, URL)

    assert ports.traces.adapter == "otlp"


def test_a_process_that_replaces_another_one_imports_nothing_of_vendors(tmp_path: Path) -> None:
    """They were imported before it was forked; importing them anew would take half of its start."""
    code = (
        "import sys; from picloud_api import settings, wiring;"
        "from tests.unit.api.absent_servers import SERVERS;"
        f"read = settings.read(['--data', {str(tmp_path)!r}, '--stack', 'hashicorp'],"
        " SERVERS.environment());"
        "wiring.preload(read); before = set(sys.modules);"
        f"wiring.hashicorp(read, read.servers, {URL!r});"
        "print('botocore' in before, set(sys.modules) - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "True set()"


async def test_a_data_directory_in_use_is_refused(api: ApiHarness) -> None:
    """A second server over the same directory does not start, and the message says why."""
    settings = read(["--data", str(api.root)], {})

    with pytest.raises(PiCloudError, match="another"):
        await wiring.check_free(settings)


async def test_a_restarted_server_has_the_same_secrets(api: ApiHarness) -> None:
    """Keys and slot tokens that a server issued are valid after its restart."""
    slot = await api.slot()
    token = (await api.use_cases.slots.slots.register(slot.slot.place)).token
    key = api.server.key

    await api.stop()
    await api.start()

    assert api.server.key == key
    assert (await api.use_cases.slots.slots.recognise(token)).number == slot.number


async def test_data_of_a_newer_version_is_refused(api: ApiHarness) -> None:
    """Neither the check before a start nor a server that is built reads it as if it were known."""
    settings = read(["--data", str(api.root)], {})
    await check_format(api.server.ports.state, FORMAT + 1)

    with pytest.raises(PiCloudError, match="A newer version of PiCloud has written this data"):
        await wiring.build(api.server.ports, settings)
    await api.stop()
    with pytest.raises(PiCloudError, match="A newer version of PiCloud has written this data"):
        await wiring.check_free(settings)
