"""The bundles of a slot: complete trees of modules, inside of their directory, and bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_model.errors import RequestRefused
from picloud_model.wire import Manifest, Module, encode
from picloud_worker.api.client import ApiClient
from picloud_worker.supervisor.bundle import KEPT_BUNDLES, Bundles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.unit.worker.fake_api import FakeApi


@pytest.fixture
def bundles(api: FakeApi, tmp_path: Path) -> Iterator[Bundles]:
    """The bundles of a slot."""
    client = ApiClient(f"http://127.0.0.1:{api.port}", "t")
    yield Bundles(tmp_path, client)
    client.close()


def manifest(api: FakeApi, **files: str) -> str:
    """Store a bundle of modules; `__` in a name stands for a slash."""
    modules = [
        Module(name.replace("__", "/") + ".py", api.store(text.encode()))
        for name, text in files.items()
    ]
    return api.store(encode(Manifest(modules)))


def test_a_tree_is_built_once(api: FakeApi, bundles: Bundles) -> None:
    """Modules are at their paths; the second time there is no request."""
    digest = manifest(api, a="A = 1", pack__b="B = 2")

    tree = bundles.tree(digest)
    requests = len(api.requests)

    assert (tree / "a.py").read_text() == "A = 1"
    assert (tree / "pack/b.py").read_text() == "B = 2"
    assert bundles.tree(digest) == tree
    assert len(api.requests) == requests == 2


def test_a_tree_stays_as_it_is(api: FakeApi, bundles: Bundles) -> None:
    """Its time of change, too: a job that sends its own modules looks by that whether they changed.
    To read them all again took 12 ms of each job that makes jobs.
    """
    digest = manifest(api, a="A = 1")
    before = bundles.tree(digest).stat().st_mtime_ns

    assert bundles.tree(digest).stat().st_mtime_ns == before


def test_a_tree_in_use_is_kept(api: FakeApi, bundles: Bundles) -> None:
    """The trees that were used least recently are deleted first."""
    first = manifest(api, a="A = 0")
    trees = {first: bundles.tree(first)}
    for number in range(1, KEPT_BUNDLES + 2):
        digest = manifest(api, a=f"A = {number}")
        trees[digest] = bundles.tree(digest)
        bundles.tree(first)

    gone = [digest for digest, tree in trees.items() if not tree.exists()]

    assert gone == list(trees)[1:3]


def test_only_changed_modules_are_fetched(api: FakeApi, bundles: Bundles) -> None:
    """A module that two bundles share is fetched once."""
    bundles.tree(manifest(api, a="A = 1", b="B = 1"))
    before = len(api.requests)

    tree = bundles.tree(manifest(api, a="A = 1", b="B = 2"))

    (_, request) = api.requests[-1]
    assert len(api.requests) == before + 2
    assert len(request.digests) == 1
    assert (tree / "a.py").read_text() + (tree / "b.py").read_text() == "A = 1B = 2"


@pytest.mark.parametrize("path", ["/etc/x.py", "../x.py", "a/../../x.py", "a\\x.py", "", "c:x.py"])
def test_a_module_stays_in_its_tree(
    api: FakeApi, bundles: Bundles, tmp_path: Path, path: str
) -> None:
    """A bundle with a path out of its tree is refused, and nothing of it can be imported."""
    digest = api.store(encode(Manifest([Module(path, api.store(b""))])))

    with pytest.raises(RequestRefused, match="cannot be stored at"):
        bundles.tree(digest)

    assert not (tmp_path / "trees" / digest).exists()


@pytest.mark.parametrize(
    "paths",
    [("a.py", "a.py"), ("a", "a/b.py"), ("a/b.py", "a"), ("x" * 300,), ("a/" * 3000 + "x.py",)],
    ids=["twice", "a file as a directory", "a directory as a file", "a long name", "a long path"],
)
def test_paths_that_cannot_be_together_are_refused(
    api: FakeApi, bundles: Bundles, tmp_path: Path, paths: tuple[str, ...]
) -> None:
    """A bundle whose paths clash, or are too long, is refused as a whole."""
    module = api.store(b"")
    digest = api.store(encode(Manifest([Module(path, module) for path in paths])))

    with pytest.raises(RequestRefused, match="cannot be stored at"):
        bundles.tree(digest)

    assert list((tmp_path / "trees").iterdir()) == []


@pytest.mark.parametrize("digest", ["", "../trees", "/etc/hostname", "A" * 64])
def test_a_module_is_named_by_its_digest_only(api: FakeApi, bundles: Bundles, digest: str) -> None:
    """No file of the machine can be linked into a bundle."""
    with pytest.raises(RequestRefused, match="is not a manifest"):
        bundles.tree(api.store(encode(Manifest([Module("a.py", digest)]))))


def test_modules_arrive_in_several_replies(api: FakeApi, bundles: Bundles) -> None:
    """The server puts as many modules into a reply as fit."""
    api.most_blobs = 2

    tree = bundles.tree(manifest(api, **{f"m{n}": f"M = {n}" for n in range(5)}))

    assert {(tree / f"m{n}.py").read_text() for n in range(5)} == {f"M = {n}" for n in range(5)}


def test_an_invalid_manifest_is_refused(api: FakeApi, bundles: Bundles) -> None:
    """The message says that the bytes are not a manifest."""
    with pytest.raises(RequestRefused, match="is not a manifest"):
        bundles.tree(api.store(b"\xc1"))


def test_old_trees_are_deleted(api: FakeApi, bundles: Bundles, tmp_path: Path) -> None:
    """A slot keeps its latest bundles, and only the files of these."""
    trees = [bundles.tree(manifest(api, a=f"A = {n}")) for n in range(KEPT_BUNDLES + 2)]

    assert [tree.exists() for tree in trees] == [False] * 2 + [True] * KEPT_BUNDLES
    assert len(list((tmp_path / "modules").iterdir())) == KEPT_BUNDLES
