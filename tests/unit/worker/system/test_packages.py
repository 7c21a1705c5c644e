"""Installed packages: a change is noticed, and ends the slot before it runs another job."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from picloud_worker.system.packages import InstalledPackages

from tests.unit.worker.jobs import pid

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.worker.fake_api import FakeApi
    from tests.unit.worker.worker import Worker


def install(folder: Path, version: str) -> None:
    """Install a package as pip does: a directory that is named after its version is renamed."""
    for old in folder.glob("tabulate-*"):
        old.rename(folder / f"tabulate-{version}.dist-info")
        return
    (folder / f"tabulate-{version}.dist-info").mkdir(parents=True)


def test_an_upgrade_is_noticed(tmp_path: Path) -> None:
    """Other directories of the path, and those that do not exist, make no difference."""
    packages, other = tmp_path / "site-packages", tmp_path / "modules"
    other.mkdir()
    install(packages, "0.8")
    installed = InstalledPackages([str(packages), str(other), str(tmp_path / "dist-packages")])
    (other / "module.py").touch()
    assert not installed.have_changed()
    before = packages.stat().st_mtime_ns

    install(packages, "0.9")
    os.utime(packages, ns=(before + 1, before + 1))

    assert installed.have_changed()


def test_a_slot_runs_no_job_with_packages_that_were_replaced(
    api: FakeApi, start: Callable[..., Worker], tmp_path: Path
) -> None:
    """It returns its jobs, which run in a slot that starts anew."""
    packages = tmp_path / "site-packages"
    install(packages, "0.8")
    worker = start(packages=packages)
    assert api.result(api.submit(pid)) == api.result(api.submit(pid))

    install(packages, "0.9")
    batch = api.submit(pid)

    assert worker.wait() == 0
    assert (batch, 0) not in api.ended
    start(packages=packages)
    assert api.result(batch) > 0
