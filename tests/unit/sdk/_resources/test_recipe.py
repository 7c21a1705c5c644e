"""Recipes: read from a file or a dict; what is wrong is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import uv
from cloud._resources.recipe import as_toml, described, recipe
from cloud.errors import CloudException, CloudTypeError
from picloud_model.wire.environment import Recipe


def test_paths_in_a_file_begin_in_its_directory(tmp_path: Path) -> None:
    """Requirements and files are read there, whatever the working directory is."""
    (tmp_path / "wanted.txt").write_text(
        "# ours\nattrs>=24 \\\n  ; python_version > '3'\nsix # x\n"
    )
    (tmp_path / "settings.json").write_text("{}")
    file = tmp_path / "environment.toml"
    file.write_text(
        "pip = ['numpy']\nrequirements = 'wanted.txt'\ntest = \"python -c 'import six'\"\n"
        "[files]\n'share/settings.json' = 'settings.json'\n"
    )

    assert recipe(file) == Recipe(
        pip=["numpy", "attrs>=24 ; python_version > '3'", "six"],
        files={"share/settings.json": "{}"},
        test=["python", "-c", "import six"],
    )


def test_a_recipe_that_was_written_is_read_again(tmp_path: Path) -> None:
    """As TOML, with texts of any characters in place of the files."""
    texts = {"share/a b": 'quoted "x"\n\tback\\slash \x7f\x00 é', "lib/b.py": ""}
    before = Recipe(
        base="base/python3.11",
        pip=["attrs>=24 ; python_version > '3'"],
        files=texts,
        commands=["make install", "echo 'done' > share/x"],
        test=["true"],
    )
    file = tmp_path / "environment.toml"

    file.write_text(as_toml(described(before)), encoding="utf-8")

    assert recipe(file) == before
    assert described(Recipe()) == {}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"pipp": []}, "no key 'pipp'; did you mean 'pip'"),
        ({"zzzzz": []}, "no key 'zzzzz'; it has base, pip"),
        ({"pip": "numpy"}, "pip must be a list of texts"),
        ({"base": 3}, "base must be text"),
        ({"files": ["x"]}, "files must be a table"),
        ({"texts": "x"}, "texts must be a table"),
        ({"texts": {"a": 1}}, "texts must be text"),
        ({"files": {"a": "/no/such/file"}}, "/no/such/file: No such file"),
        ({"requirements": "/no/such/file"}, "/no/such/file: No such file"),
    ],
)
def test_what_is_wrong_is_named(values: dict[str, Any], message: str) -> None:
    """A key, a value, or a file that does not exist."""
    with pytest.raises((CloudException, CloudTypeError), match=message):
        recipe(values)


def test_a_file_that_is_not_a_recipe_is_refused(tmp_path: Path) -> None:
    """Not TOML, not text, not there, not a path; options of pip are not requirements."""
    file = tmp_path / "environment.toml"
    file.write_text("pip = [")
    with pytest.raises(CloudException, match="is not valid TOML"):
        recipe(file)
    (tmp_path / "data").write_bytes(b"\xff\xfe")
    file.write_text("[files]\n'a' = 'data'\n")
    with pytest.raises(CloudException, match="data is not text"):
        recipe(file)
    (tmp_path / "wanted.txt").write_text("--index-url https://example.com\n")
    file.write_text("requirements = 'wanted.txt'\n")
    with pytest.raises(CloudException, match="but no options of pip"):
        recipe(file)
    with pytest.raises(CloudException, match="No such file"):
        recipe(tmp_path / "missing.toml")
    with pytest.raises(CloudTypeError, match="is a dict or the path of a TOML file"):
        recipe(3)


LOCKED = f"""
version = 1
requires-python = ">=3.11"

[[package]]
name = "mine"
version = "0.1"
source = {{ virtual = "." }}
dependencies = [{{ name = "six" }}]

[package.metadata]
requires-dist = [{{ name = "six" }}]

[[package]]
name = "six"
version = "1.16.0"
source = {{ registry = "https://example.com/simple" }}

[[package.wheels]]
url = "https://example.com/six-1.16.0-py2.py3-none-any.whl"
hash = "sha256:{64 * "0"}"
"""


def test_a_lock_is_what_uv_pins_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the project itself; a missing or broken lock, and a missing uv, are named."""
    monkeypatch.setenv("PATH", f"{Path(uv.find_uv_bin()).parent}")
    project = '[project]\nname = "mine"\nversion = "0.1"\nrequires-python = ">=3.11"\n'
    (tmp_path / "pyproject.toml").write_text(f'{project}dependencies = ["six"]\n')
    lock = tmp_path / "uv.lock"

    with pytest.raises(CloudException, match=r"uv\.lock does not exist"):
        recipe({"lock": str(lock)})
    lock.write_text(LOCKED)
    assert recipe({"lock": str(lock), "pip": ["attrs"]}).pip == ["attrs", "six==1.16.0"]
    lock.write_text("version = ")
    with pytest.raises(CloudException, match=r"uv cannot read .*uv\.lock"):
        recipe({"lock": str(lock)})
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CloudException, match="needs uv on this machine"):
        recipe({"lock": str(lock)})


PYLOCK = """
lock-version = "1.0"
created-by = "by hand"

[[packages]]
name = "six"
version = "1.17.0"
marker = "python_version > '3'"

[[packages]]
name = "mine"
directory = { path = ".", editable = true }

[[packages]]
name = "far"
archive = { url = "https://example.com/far-1.0.tar.gz", hashes = {} }

[[packages]]
name = "vendored"
archive = { path = "vendored-1.0.tar.gz", hashes = {} }

[[packages]]
name = "source"
vcs = { type = "git", url = "https://example.com/a", commit-id = "a", subdirectory = "python" }
"""


def test_a_lock_of_the_standard_format_needs_no_uv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its markers are kept; what is in a directory here is not in it."""
    monkeypatch.setenv("PATH", "")
    lock = tmp_path / "pylock.toml"
    lock.write_text(PYLOCK)

    assert recipe({"lock": str(lock)}).pip == [
        "six==1.17.0 ; python_version > '3'",
        "far @ https://example.com/far-1.0.tar.gz",
        "source @ git+https://example.com/a@a#subdirectory=python",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("packages = [", "is not a valid"),
        ("lock-version = '1.0'", "is not a valid"),
        ("packages = [3]", "is not a valid"),
        ("packages = 'six'", "is not a valid"),
        (
            "packages = [{name = 'six', marker = \"'x' in extras\", version = '1'}]",
            "extras or groups",
        ),
    ],
)
def test_a_lock_that_cannot_be_used_is_named(tmp_path: Path, text: str, message: str) -> None:
    """As it is broken, or leaves a choice."""
    lock = tmp_path / "pylock.toml"
    lock.write_text(text)

    with pytest.raises(CloudException, match=rf"{lock} .*{message}"):
        recipe({"lock": str(lock)})
