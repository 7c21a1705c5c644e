"""`picloud admin desktop`: the public environment that desktops run in."""

from __future__ import annotations

from typing import Annotated, Final

import typer
from cloud._client.current import client

from picloud import output

_NAME: Final = "desktop"
_APT: Final = (
    "tigervnc-standalone-server",
    "tigervnc-tools",
    "x11-xkb-utils",
    "openbox",
    "xterm",
    "firefox-esr",
    "fonts-dejavu-core",
)
_TEST: Final = ["sh", "-c", "command -v Xvnc tigervncpasswd xkbcomp openbox"]


def build(
    *,
    apt: Annotated[
        list[str] | None,
        typer.Option(
            "--apt", metavar="PACKAGE", help="Debian package to add, as libreoffice (repeatable)."
        ),
    ] = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="Leave the web browser out, which is large.")
    ] = False,
) -> None:
    """Build the public environment /picloud/desktop, in which desktops run.

    It is Debian with an X server, a window manager, a terminal and Firefox; jobs of the server have
    to run in containers. It takes a key of an administrator. Desktops that run keep what they have,
    and those that are started later have the new version.

    \b
    Examples:
      $ picloud admin desktop
      $ picloud admin desktop --apt libreoffice
    """  # noqa: D301 - \b keeps the lines apart
    from cloud import environment  # noqa: PLC0415 - other commands of `admin` do not need it

    client().keys.accounts()  # refuses who is not an administrator
    packages = [each for each in _APT if not (plain and each == "firefox-esr")]
    recipe = {"apt": [*packages, *(apt or ())], "test": _TEST}
    environment.build(_NAME, recipe, "What desktops run in", show=output.exactly)
    environment.make_public(_NAME)
    output.text(f"/picloud/{_NAME}")
