"""`picloud admin reset-password`."""

from __future__ import annotations

from typing import Annotated

import typer
from cloud._client.current import client

from picloud import output, units
from picloud.options.arguments import AsJson  # noqa: TC001 - Typer reads it


def reset(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="E-mail address or name by which they sign in.")
    ],
    *,
    json: AsJson = False,
) -> None:
    """Print a link by which a person who forgot the password chooses a new one.

    It works once, within a day, and replaces an earlier link. Send it to that person only. The old
    password is valid until a new one is chosen; then the person is signed out everywhere.

    \b
    Examples:
      $ picloud admin reset-password ada@example.org
    """  # noqa: D301 - \b keeps the lines apart
    # Other commands of `admin` do not need it.
    from cloud._resources.password_reset import PasswordResetClient  # noqa: PLC0415

    made = PasswordResetClient(client().transport).create(name)
    if json:
        output.as_json({"link": made.link, "expires": units.iso(made.expires_at)})
        return
    output.text(made.link)
