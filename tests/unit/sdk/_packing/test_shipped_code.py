"""Modules of results are fetched when this process cannot import them."""

from __future__ import annotations

import sys
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from cloud._packing.errors import PackingError
from cloud._packing.packer import Packer
from cloud.errors import CloudException
from picloud_model import pack, wire
from picloud_pickle.results.code import CodeTrees

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from picloud_model.wire import Content

    from tests.unit.sdk._packing.conftest import Project


class Server:
    """Holds the blobs of an account, and counts how often they are read."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.reads = 0

    def store(self, data: bytes) -> str:
        """Store a blob; return its digest."""
        digest = sha256(data).hexdigest()
        self.blobs[digest] = data
        return digest

    def bundle(self, **modules: str) -> str:
        """Store a bundle of modules; return its digest."""
        return self.store(
            wire.encode(
                wire.Manifest(
                    modules=[
                        wire.Module(f"{name}.py", self.store(text.encode()))
                        for name, text in modules.items()
                    ]
                )
            )
        )

    def read(self, contents: Sequence[Content]) -> Iterator[bytes]:
        """Yield blobs."""
        for content in contents:
            self.reads += 1
            if content.digest not in self.blobs:
                raise CloudException("There is no such blob.")
            yield self.blobs[content.digest]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Server:
    """A server, and a directory of its own for what is fetched."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Server()


def parcel(module: str, name: str, bundle: str, root: Path) -> bytes:
    """A result that is an object of a module, with the bundle that it is in."""
    trees = CodeTrees()
    (root / module).mkdir(parents=True)
    trees.add(bundle, str(root))
    return pack.seal(trees.attach(f"c{module}\n{name}\n.".encode()))


def test_a_missing_module_is_fetched(server: Server, project: Project, tmp_path: Path) -> None:
    """What a result needs is fetched once, and is on this machine for the next process."""
    project.write()
    bundle = server.bundle(far_away="class Score: pass")
    data = parcel("far_away", "Score", bundle, tmp_path / "tree")
    packer = Packer(server.read)

    first = packer.result(data, packer.envelope)
    second = packer.result(data, packer.envelope)

    assert first.__module__ == "far_away"
    assert second is first
    assert server.reads == 2
    assert (tmp_path / "cache/picloud/bundles" / bundle / "far_away.py").exists()
    assert (tmp_path / "cache/picloud/bundles").stat().st_mode & 0o777 == 0o700


def test_modules_of_this_machine_come_first(
    server: Server, project: Project, tmp_path: Path
) -> None:
    """A module of this machine is never replaced, and nothing is fetched in vain."""
    project.write(twice="class Score: here = True")
    bundle = server.bundle(twice="class Score: here = False")
    data = parcel("twice", "Score", bundle, tmp_path / "tree")
    packer = Packer(server.read)

    assert packer.result(data, packer.envelope).here
    assert server.reads == 0


def test_another_version_of_a_module_is_named(
    server: Server, project: Project, tmp_path: Path
) -> None:
    """A class that the module of this machine lacks is an error that says why."""
    project.write(older="")
    bundle = server.bundle(older="class Score: pass")
    data = parcel("older", "Score", bundle, tmp_path / "tree")
    packer = Packer(server.read)

    with pytest.raises(PackingError, match=r"'Score' on .*older.*; the job used another version"):
        packer.result(data, packer.envelope)


def test_a_package_that_lacks_a_module_is_named(
    server: Server, project: Project, tmp_path: Path
) -> None:
    """The modules of a bundle are never mixed with a package of this machine."""
    project.write(halved__init="")
    data = parcel("halved.model", "Score", server.bundle(unused=""), tmp_path / "tree")
    packer = Packer(server.read)

    with pytest.raises(
        PackingError, match=r"'halved.model', but 'halved' of this process .*halved"
    ):
        packer.result(data, packer.envelope)


def test_modules_that_are_gone_are_named(server: Server, project: Project, tmp_path: Path) -> None:
    """Modules that the server does not have are named, as are those of results without a bundle."""
    project.write()
    packer = Packer(server.read)
    gone = parcel("nowhere", "Score", "ab" * 32, tmp_path / "tree")
    path = list(sys.path)

    with pytest.raises(PackingError, match="its modules cannot be fetched: There is no such blob"):
        packer.result(gone, packer.envelope)
    with pytest.raises(PackingError, match="needs the module 'nowhere', which is not installed"):
        packer.result(pack.seal(b"cnowhere\nScore\n."), packer.envelope)

    assert sys.path == path


def test_a_module_outside_of_its_tree_is_refused(
    server: Server, project: Project, tmp_path: Path
) -> None:
    """A bundle writes nothing outside of its own directory."""
    project.write()
    digest = server.store(b"")
    manifest = wire.encode(wire.Manifest(modules=[wire.Module("../evil.py", digest)]))
    data = parcel("evil", "Score", server.store(manifest), tmp_path / "tree")
    packer = Packer(server.read)

    with pytest.raises(PackingError, match=r"cannot be stored at '\.\./evil.py'"):
        packer.result(data, packer.envelope)

    assert not (tmp_path / "cache/picloud/bundles/evil.py").exists()
