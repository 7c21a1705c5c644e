"""`picloud account`."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from cloud._client.current import client

from picloud import output, tables, units
from picloud.help_pages import HelpfulGroup
from picloud.options.arguments import AsJson  # noqa: TC001 - Typer reads it

app = typer.Typer(rich_markup_mode=None, cls=HelpfulGroup)


@app.callback()
def accounts() -> None:
    """Create and list accounts, as an administrator.

    An administrator has a key of the first account.

    \b
    Examples:
      $ picloud account list
      $ picloud account create "data science"
    """  # noqa: D301 - \b keeps the lines apart


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the account.")],
    *,
    json: AsJson = False,
) -> None:
    """Create an account and its first API key, whose secret is shown only once.

    Accounts share no jobs, results, slots or keys.

    \b
    Examples:
      $ picloud account create "data science"
      pk_...
    """  # noqa: D301 - \b keeps the lines apart
    created = client().keys.create_account(name)
    if json:
        output.as_json({"account": created.account, "key": created.key})
    else:
        output.text(created.key)


@app.command("list")
def list_accounts(*, json: AsJson = False) -> None:
    """List all accounts, oldest first.

    \b
    Examples:
      $ picloud account list
      $ picloud account list --json
    """  # noqa: D301 - \b keeps the lines apart
    accounts_ = client().keys.accounts().accounts
    if json:
        output.as_json(
            [
                {
                    "id": each.id,
                    "name": each.name,
                    "created": units.iso(each.created_at),
                    "active_keys": each.active_keys,
                }
                for each in accounts_
            ]
        )
        return
    now = time.time()
    rows = [
        (each.id, each.name, units.moment(each.created_at, now), each.active_keys)
        for each in accounts_
    ]
    columns = tables.Columns(("id", "name", "created", "active keys"), flexible=("name",))
    tables.show(columns, rows)
