"""Recipes of environments, as users write them: a TOML file or a dict."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from picloud_model.errors import nearest_name
from picloud_model.wire.environment import Recipe

from cloud.errors import CloudException, CloudTypeError, CloudValueError

_KEYS: Final = ("base", "pip", "apt", "requirements", "lock", "files", "texts", "commands", "test")
_EXPORT: Final = (
    *("export", "--frozen", "--no-hashes", "--no-header", "--no-annotate"),
    *("--no-emit-project", "--no-emit-local", "--no-dev", "--format", "requirements.txt"),
)
_GROUPS: Final = re.compile(r"\b(extras|dependency_groups)\b")


def recipe(source: Any) -> Recipe:
    """Return the recipe in a TOML file or a dict; paths in a file begin in its directory.

    Raises:
        CloudException: When the file cannot be read, or it has an unknown key or value.

    >>> recipe({"pip": ["numpy"], "test": "python -c 'import numpy'"}).test
    ['python', '-c', 'import numpy']
    """
    if isinstance(source, Mapping):
        return _recipe(source, Path())
    try:
        path = Path(os.fspath(source))
    except TypeError:
        message = f"A recipe is a dict or the path of a TOML file, not {source!r:.80}."
        raise CloudTypeError(message) from None
    try:
        return _recipe(tomllib.loads(path.read_text(encoding="utf-8")), path.parent)
    except OSError as error:
        raise CloudException(
            f"{path}: {error.strerror or error}. A recipe is a dict or the path of a TOML file."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CloudValueError(f"{path} is not valid TOML: {error}.") from None


def _recipe(values: Mapping[str, Any], folder: Path) -> Recipe:
    for name in values:
        if name not in _KEYS:
            near = nearest_name(str(name), _KEYS)
            better = f"did you mean {near!r}?" if near else f"it has {', '.join(_KEYS)}."
            raise CloudValueError(f"A recipe has no key {name!r:.80}; {better}")
    pip = _texts("pip", values.get("pip", []))
    if "requirements" in values:
        pip += _requirements(_read(folder / _text("requirements", values["requirements"])))
    if "lock" in values:
        pip += locked(folder / _text("lock", values["lock"]))
    files = _table("files", values, "path of a file here")
    texts = _table("texts", values, "content of the file")
    test = values.get("test", [])
    return Recipe(
        base=_text("base", values.get("base", "")),
        pip=pip,
        apt=_texts("apt", values.get("apt", [])),
        files={target: _read(folder / _text("files", path)) for target, path in files.items()}
        | {target: _text("texts", text) for target, text in texts.items()},
        commands=_texts("commands", values.get("commands", [])),
        test=shlex.split(test) if isinstance(test, str) else _texts("test", test),
    )


def described(found: Recipe) -> dict[str, Any]:
    """Return a recipe as a dict from which `recipe` reads it again.

    >>> described(Recipe(pip=["six"], files={"share/a": "1"}))
    {'pip': ['six'], 'texts': {'share/a': '1'}}
    """
    values = {
        "base": found.base,
        "apt": found.apt,
        "pip": found.pip,
        "commands": found.commands,
        "test": found.test,
        "texts": found.files,
    }
    return {name: value for name, value in values.items() if value}


def as_toml(values: Mapping[str, Any]) -> str:
    r"""Return what `described` returns as the content of a TOML file.

    >>> print(as_toml({"pip": ["six", "attrs"], "texts": {"share/a": "1\n"}}), end="")
    pip = [
        "six",
        "attrs",
    ]
    <BLANKLINE>
    [texts]
    "share/a" = "1\n"
    """
    lines: list[str] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            entries = (f"{_quoted(key)} = {_quoted(text)}" for key, text in value.items())
            lines += ["", f"[{name}]", *entries]
        elif isinstance(value, list):
            lines += [f"{name} = [", *(f"    {_quoted(text)}," for text in value), "]"]
        else:
            lines.append(f"{name} = {_quoted(value)}")
    return "".join(f"{line}\n" for line in lines)


def _quoted(text: str) -> str:
    # A string of JSON is one of TOML, but for DEL, which TOML wants escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _table(name: str, values: Mapping[str, Any], what: str) -> Mapping[str, Any]:
    table = values.get(name, {})
    if not isinstance(table, Mapping):
        raise CloudTypeError(f"{name} must be a table of paths: target = '{what}'.")
    return table


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise CloudTypeError(f"{name} must be text, not {value!r:.80}.")
    return value


def _texts(name: str, value: Any) -> list[str]:
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise CloudTypeError(f"{name} must be a list of texts, not {value!r:.80}.")
    return list(value)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise CloudException(f"{path}: {error.strerror or error}.") from None
    except UnicodeDecodeError:
        message = f"{path} is not text; put data into a bucket or a volume."
        raise CloudValueError(message) from None


def _requirements(text: str) -> list[str]:
    """Return the requirements in a file of pip's.

    >>> _requirements("numpy==2.1.0  # fast")
    ['numpy==2.1.0']
    """
    lines = text.replace("\\\n", " ").splitlines()
    found = [" ".join(line.partition(" #")[0].split()) for line in lines]
    found = [line for line in found if line and not line.startswith("#")]
    for line in found:
        if line.startswith("-"):
            message = f"{line[:80]!r}: a recipe takes requirements, but no options of pip."
            raise CloudValueError(message)
    return found


def locked(lock: Path) -> list[str]:
    """Return the requirements that a `uv.lock` or a `pylock.toml` pins.

    Projects and packages in directories of this machine are not among them.

    Args:
        lock: The file; one that is not a `uv.lock` is read as a `pylock.toml`.

    Raises:
        CloudException: When it cannot be read, or has requirements that pip does not take.
    """
    if not lock.exists():
        raise CloudException(f"{lock} does not exist.")
    if lock.name == "uv.lock":
        return _requirements(_exported(lock))
    try:
        packages = tomllib.loads(_read(lock))["packages"]
        found = [_pinned(each) for each in packages]
    except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError):
        raise CloudValueError(f"{lock} is not a valid uv.lock or pylock.toml.") from None
    if any(_GROUPS.search(each.partition(" ; ")[2]) for each in found):
        raise CloudValueError(
            f"{lock} has packages of extras or groups that have to be chosen; export a lock with "
            "those that you need."
        )
    return [each for each in found if each]


def _pinned(package: Mapping[str, Any]) -> str:
    """Return the requirement for a package of a pylock.toml, "" where it is in a directory.

    Source: https://packaging.python.org/en/latest/specifications/pylock-toml/

    >>> _pinned({"name": "six", "version": "1.17.0", "marker": "python_version > '3'"})
    "six==1.17.0 ; python_version > '3'"
    """
    name, marker = package["name"], package.get("marker")
    if vcs := package.get("vcs"):
        if not vcs.get("url"):
            return ""
        inside = f"#subdirectory={vcs['subdirectory']}" if "subdirectory" in vcs else ""
        pinned = f"{name} @ {vcs['type']}+{vcs['url']}@{vcs['commit-id']}{inside}"
    elif archive := package.get("archive"):
        if not archive.get("url"):
            return ""
        pinned = f"{name} @ {archive['url']}"
    elif "directory" in package:
        return ""
    else:
        pinned = f"{name}=={package['version']}"
    return f"{pinned} ; {marker}" if marker else pinned


def _exported(lock: Path) -> str:
    """Return what a uv.lock pins, as uv itself exports it for pip."""
    uv = shutil.which("uv")
    if uv is None:
        raise CloudException(f"Reading {lock} needs uv on this machine: pip install uv.")
    done = subprocess.run(  # noqa: S603 - no shell; the path is the user's own
        [uv, *_EXPORT, "--directory", str(lock.absolute().parent)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CloudException(f"uv cannot read {lock}: {' '.join(done.stderr.split())[-500:]}")
    return done.stdout
