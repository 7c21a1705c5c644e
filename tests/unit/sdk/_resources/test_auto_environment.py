"""The packages of `_env='auto'`: read from the directories of a path."""

from __future__ import annotations

import json
from importlib.metadata import distributions
from typing import TYPE_CHECKING

import pytest
from cloud import CloudException
from cloud._config.configuration import Config
from cloud._resources.auto_environment import installed_here, project_lock
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from pathlib import Path


def install(folder: Path, name: str, origin: dict[str, object] | None = None) -> None:
    """Leave what pip leaves of a distribution."""
    made = folder / f"{name}.dist-info"
    made.mkdir(parents=True)
    if origin is not None:
        (made / "direct_url.json").write_text(json.dumps(origin))


def test_each_distribution_is_pinned_to_its_version_or_its_source(tmp_path: Path) -> None:
    """Editable ones travel with jobs, files of here are named; the first on the path wins."""
    first, second = tmp_path / "a/site-packages", tmp_path / "b/site-packages"
    install(first, "numpy-2.1.0")
    install(first, "zope.interface-7.0")
    install(first, "picloud-0.1.0")
    install(first, "mine-1.0", {"url": "file:///home/me/mine", "dir_info": {"editable": True}})
    install(first, "wheel_of_mine-1.0", {"url": "file:///home/me/w.whl", "archive_info": {}})
    install(first, "far-1.0", {"url": "https://example.com/far-1.0.tar.gz", "archive_info": {}})
    vcs = {"vcs": "git", "commit_id": "abc"}
    install(first, "git_one-1.0", {"url": "https://example.com/one", "vcs_info": vcs})
    install(second, "numpy-1.0")
    install(tmp_path / "elsewhere", "hidden-1.0")
    path = [str(tmp_path / "elsewhere"), str(first), str(second), str(tmp_path / "missing")]

    found = installed_here(path)

    assert found.pip == [
        "far @ https://example.com/far-1.0.tar.gz",
        "git_one @ git+https://example.com/one@abc",
        "numpy==2.1.0",
        "zope.interface==7.0",
    ]
    assert found.left_out == ["wheel-of-mine"]


def test_what_is_installed_here_is_what_its_metadata_say() -> None:
    """The names of directories are enough."""
    known = {f"{canonicalize_name(each.name)}=={each.version}" for each in distributions()}

    pairs = [each.split("==") for each in installed_here().pip if "==" in each]
    pinned = {f"{canonicalize_name(name)}=={version}" for name, version in pairs}

    assert pinned
    assert pinned <= known


def test_the_setting_names_an_environment() -> None:
    """Or is None, as before a script sets it."""
    config = Config()
    assert config.environment is None
    config.environment = "auto"

    with pytest.raises(CloudException, match="must name an environment, not 3"):
        config.environment = 3  # type: ignore[assignment]


def test_the_lock_of_a_project_is_the_nearest_one_upwards(tmp_path: Path) -> None:
    """The one of uv before that of the standard; not beyond the root of a git repository."""
    inner = tmp_path / "project/src/package"
    inner.mkdir(parents=True)
    outer = tmp_path / "uv.lock"
    outer.write_text("")
    assert project_lock(inner) == outer

    (tmp_path / "project/.git").mkdir()
    assert project_lock(inner) is None

    standard = tmp_path / "project/pylock.toml"
    standard.write_text("")
    assert project_lock(inner) == standard
    (tmp_path / "project/uv.lock").write_text("")
    assert project_lock(inner) == tmp_path / "project/uv.lock"
