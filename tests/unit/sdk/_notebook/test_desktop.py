"""The X server of a desktop: what it needs, and the menu of its window manager."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest
from cloud._notebook import desktop
from cloud.errors import CloudException

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By the Debian packages that have it, with what to do; what is there is not named."""
    for name in ("Xvnc", "vncpasswd"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", os.fspath(tmp_path))

    with pytest.raises(
        CloudException, match=r"needs Debian's x11-xkb-utils, openbox where its job"
    ):
        desktop.Desktop(0, "800x600x24", "").check()


def test_a_menu_has_the_programs_that_there_are() -> None:
    """Their names and paths are texts, whatever they contain."""
    menu = ET.fromstring(desktop.menu({"A & 'B'": "/usr/bin/<x>"}))

    [item] = menu.iter("{http://openbox.org/3.4/menu}item")
    [command] = menu.iter("{http://openbox.org/3.4/menu}command")
    assert (item.get("label"), command.text) == ("A & 'B'", "/usr/bin/<x>")


def test_a_menu_of_the_user_stays(tmp_path: Path) -> None:
    """It is written once, at the first start."""
    desktop._write_menu(tmp_path)
    path = tmp_path / ".config" / "openbox" / "menu.xml"
    assert "root-menu" in path.read_text()
    path.write_text("mine")

    desktop._write_menu(tmp_path)

    assert path.read_text() == "mine"


def test_a_password_has_as_many_characters_as_vnc_uses() -> None:
    """Each start has another token, and so another one."""
    passwords = {desktop.vnc_password(f"token {number}") for number in range(100)}

    assert {len(each) for each in passwords} == {8}
    assert len(passwords) == 100
