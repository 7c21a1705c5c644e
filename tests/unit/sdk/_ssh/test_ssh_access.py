"""The files by which programs that use OpenSSH reach jobs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cloud._resources.ssh import SshFiles, program
from cloud._ssh.ssh_access import picloud_command
from picloud_driver.secret import ssh_certificate
from picloud_model.wire.tunnel import CertificateIssued

if TYPE_CHECKING:
    import pytest


def test_the_command_names_the_server_but_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """`ssh` may be run by any program, without the variables of this one."""
    monkeypatch.setenv("PICLOUD_URL", "http://server:1")
    monkeypatch.setenv("PICLOUD_API_KEY", "pk_a_secret")
    for name in ("PICLOUD_PROFILE", "PICLOUD_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)

    command = picloud_command()

    assert command == ["env", "PICLOUD_URL=http://server:1", picloud_path()]


def picloud_path() -> str:
    """Where the command is installed."""
    return str(Path(sys.executable).with_name("picloud"))


def test_openssh_reads_the_files(tmp_path: Path) -> None:
    """The configuration names them; a key is made once, and a new certificate replaces the old."""
    files = SshFiles(tmp_path / "a directory" / "7", 7)
    key = files.make_key()
    host = ssh_certificate.public_line(bytes(32))
    for serial in ("first", "second"):
        certificate = ssh_certificate.sign(bytes(32), key, f"a-job-{serial}", (0, 2**32))
        assert files.make_key() == key
        files.write(CertificateIssued(certificate, host, 300), ("ProxyCommand true",))

    command = [program("ssh"), "-G", "-F", str(files.configuration), files.host]
    read = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()

    assert {"user emp", f"certificatefile {files.certificate}", "proxycommand true"} <= {*read}
    assert "a-job-second" in subprocess.run(
        [program("ssh-keygen"), "-L", "-f", str(files.certificate)],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert files.directory.stat().st_mode & 0o077 == 0
