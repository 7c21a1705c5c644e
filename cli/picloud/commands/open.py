"""`picloud open`."""

from __future__ import annotations

from typing import Annotated

import typer
from cloud._client.current import client

from picloud import output
from picloud.options.arguments import AsJson  # noqa: TC001 - typer reads annotations when it runs

NoBrowser = Annotated[
    bool, typer.Option("--no-browser", help="Print the link instead of opening it.")
]


def open_pages(*, no_browser: NoBrowser = False, json: AsJson = False) -> None:
    """Open the web pages of the server, signed in to your account.

    The link works once, within a minute. Where no browser can be started it is printed.

    \b
    Examples:
      $ picloud open
      $ picloud open --no-browser
    """  # noqa: D301 - \b keeps the lines apart
    from cloud._resources.sign_in import SignInClient  # noqa: PLC0415 - only this command needs it

    link = SignInClient(client().transport).link()
    if json:
        output.as_json({"link": link})
        return
    if not no_browser:
        import webbrowser  # noqa: PLC0415 - only this command needs it

        if webbrowser.open(link):
            output.hint("The web pages are open in your browser.")
            return
    output.text(link)
