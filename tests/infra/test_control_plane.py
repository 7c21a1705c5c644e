"""Clients whose control plane is gone: they shut themselves down after a while."""

from __future__ import annotations

import pwd
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Final

import pytest

from tests.contract.scripted_server import ScriptedAnswer, ScriptedServer, certified
from tests.infra.cluster import LATE_S, ROOT, SLOTS, SUBNET
from tests.polling import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.infra.cluster import Cluster

pytestmark = pytest.mark.timeout(600)

PROGRAM: Final = ROOT / "packer" / "node" / "boot" / "control_plane.py"
NOWHERE: Final = "http://127.0.0.1:1"
LEADER: Final = ScriptedAnswer(200, b'"10.0.0.11:4647"\n')
NO_LEADER: Final = ScriptedAnswer(200, b'""\n')
LOST: Final = ("lost", str(SUBNET[26]))
"""A client that is cut off from all others."""
UNUSED_USER: Final = pwd.getpwnam("games").pw_name


def run(
    folder: Path, url: str, *more: str, minutes: str = "0.01"
) -> subprocess.CompletedProcess[str]:
    """Run the program until it ends; in place of a shutdown it makes a file."""
    (folder / "secrets").mkdir(exist_ok=True)
    (folder / "shut-down-after").write_text(f"{minutes}\n")
    options = ["--machine", str(folder), "--url", url, "--user", UNUSED_USER, "--every", "0.01"]
    ending = ["--command", f"touch {folder / 'ended'}"]
    return subprocess.run(
        [sys.executable, "-P", str(PROGRAM), *options, *ending, *more],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_machine_without_servers_ends(tmp_path: Path) -> None:
    """Once, after the time of the setting; both its beginning and its end are reported."""
    done = run(tmp_path, NOWHERE)

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "ended").exists()
    assert done.stderr.count("\n") == 1
    assert "The control plane is gone: 127.0.0.1: " in done.stderr
    assert "shuts down 0.01 minutes after it was last there" in done.stderr
    assert done.stdout.endswith("This machine shuts down.\n")


def test_only_the_time_without_a_leader_counts(tmp_path: Path) -> None:
    """Each leader begins it anew; servers that know none, or fail, are not a control plane."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    tls, certificate = certified(tmp_path)
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (folder / name).write_bytes((tmp_path / certificate).read_bytes())
    answers = [NO_LEADER, LEADER, ScriptedAnswer(500, b"No cluster leader"), LEADER, NO_LEADER]

    with ScriptedServer(*answers, tls=tls) as server:
        done = run(tmp_path, server.url)
        asked = server.requests

    assert (tmp_path / "ended").exists(), done.stderr
    assert len(asked) > len(answers)
    assert "127.0.0.1 knows no leader" in done.stderr
    assert "127.0.0.1: GET /v1/status/leader has status 500" in done.stderr
    assert done.stderr.count("The control plane is gone") == 3


def test_a_machine_whose_slots_run_stays(tmp_path: Path) -> None:
    """They end by themselves without the API; until then, jobs may run that Nomad's loss spares."""
    slot = subprocess.Popen(["sleep", "2"], user=UNUSED_USER)
    threading.Thread(target=slot.wait).start()  # no zombie is left

    done = run(tmp_path, NOWHERE)

    assert slot.poll() == 0, done.stderr
    assert (tmp_path / "ended").exists()


def test_without_the_setting_nothing_happens(tmp_path: Path) -> None:
    """The file is not there where a machine never shuts itself down."""
    done = subprocess.run(
        [sys.executable, "-P", str(PROGRAM), "--machine", str(tmp_path), "--command", "false"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "This machine never shuts itself down.\n"


def test_a_client_that_is_cut_off_ends(cluster: Cluster) -> None:
    """It stays while it reaches a server, which it trusts by its certificate."""
    name, address = LOST
    watch = """/opt/picloud/boot/control_plane.py --every 0.2 --command 'sh -c "kill 1"'"""
    cluster.start(
        name, "clients", address, core_type="c1", slots=SLOTS, shut_down_after_minutes=0.02
    )
    try:
        until(lambda: cluster.client_state(name) == ("ready", "eligible"), f"{name} joins", LATE_S)
        assert cluster.execute(name, f"timeout 5 {watch} 2>&1 || echo $?") == "124"

        with cluster.split([name]):
            cluster.execute(name, f"nohup {watch} > /tmp/watch 2>&1 &")
            until(lambda: not cluster.runs(name), f"{name} shuts down", LATE_S)
    finally:
        cluster.remove(name)
