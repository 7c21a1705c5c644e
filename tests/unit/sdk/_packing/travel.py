"""Carries packed functions to a fresh Python in an empty directory and runs them there.

What arrives is what a slot gets: a parcel with the function, one with the arguments, and the
bundle's files laid out as a tree at the front of the path. Scripts under test import this module
to pack; `picloud` itself is installed on both sides, as it is in a slot.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from cloud._packing.packer import Packer
from cloud._packing.values import Needs
from picloud_model import wire

if TYPE_CHECKING:
    from pathlib import Path

    from cloud._packing.bundler import Bundle

SLOT = """
import pickle, sys
from pathlib import Path

import cloudpickle
from picloud_model.pack import unseal

outcomes = {}
for place in sorted(Path(sys.argv[1]).iterdir()):
    sys.path.insert(0, str(place / "tree"))
    try:
        function = pickle.loads(unseal((place / "function").read_bytes()))
        args, kwargs = pickle.loads(unseal((place / "arguments").read_bytes()))
        outcomes[place.name] = function(*args, **kwargs)
    except Exception as error:
        outcomes[place.name] = f"{type(error).__name__}: {error}"
    del sys.path[0]
Path(sys.argv[2]).write_bytes(cloudpickle.dumps(outcomes))
"""


def lay_out(bundle: Bundle, tree: Path) -> list[str]:
    """Write a bundle's files below a directory as a slot does; returns their paths."""
    tree.mkdir()
    if not bundle.digest:
        return []
    manifest = wire.decode(bundle.manifest, wire.Manifest)
    for module in manifest.modules:
        target = tree / module.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(bundle.files[module.digest])
    return [module.path for module in manifest.modules]


def post(luggage: Path, name: str, func: Any, *args: Any, **kwargs: Any) -> None:
    """Pack a function and its arguments, to be run under a name."""
    packer, needs = Packer(), Needs()
    place = luggage / name
    place.mkdir(parents=True)
    function = packer.function(func)
    (place / "function").write_bytes(function.parcel)
    (place / "arguments").write_bytes(packer.arguments(args, kwargs, needs))
    lay_out(packer.bundle(function, needs.modules), place / "tree")


def arrive(luggage: Path) -> dict[str, Any]:
    """Run all that was posted in one fresh Python; returns what each returned or raised."""
    empty, outcomes = luggage.parent / "empty", luggage.parent / "outcomes"
    empty.mkdir()
    run([sys.executable, "-c", SLOT, str(luggage), str(outcomes)], empty)
    found: dict[str, Any] = pickle.loads(outcomes.read_bytes())
    return found


def run(command: list[str], directory: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a Python to its end in a directory, with nothing of ours on its path but what is said."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= options.pop("environment", {})
    done = subprocess.run(
        command,
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )
    assert done.returncode == 0, done.stderr
    return done
