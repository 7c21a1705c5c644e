"""`picloud key`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer
from cloud import CloudValueError, account
from cloud._client.current import client
from cloud._resources.key import checked_id
from picloud_model.wire.role import Role

from picloud import output, tables, units
from picloud.completion import keys as completion
from picloud.help_pages import HelpfulGroup
from picloud.options.arguments import AsJson  # noqa: TC001 - Typer reads it

if TYPE_CHECKING:
    from picloud_model.wire import ListedKey

app = typer.Typer(rich_markup_mode=None, cls=HelpfulGroup)


def _key_id(text: str) -> str:
    try:
        return checked_id(text)
    except CloudValueError as error:
        raise typer.BadParameter(str(error)) from None


KeyId = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="Id of a key: the ID in pk_ID_...",
        callback=_key_id,
        autocompletion=completion.ids,
    ),
]


@app.callback()
def keys() -> None:
    """Create, list, activate and deactivate the API keys of your account.

    \b
    Examples:
      $ picloud key list
      $ picloud key create
      $ picloud key deactivate 0123456789ab
    """  # noqa: D301 - \b keeps the lines apart


@app.command("list")
def list_keys(
    *,
    active: Annotated[bool, typer.Option("--active", help="Leave out deactivated keys.")] = False,
    json: AsJson = False,
) -> None:
    """List your API keys, oldest first, without their secrets.

    \b
    Examples:
      $ picloud key list
      $ picloud key list --active --json
    """  # noqa: D301 - \b keeps the lines apart
    listed = client().keys.list(active_only=active)
    if json:
        output.as_json([_fields(key) for key in listed])
        return
    now = time.time()
    rows = [
        (
            key.id,
            "active" if key.active else "inactive",
            units.moment(key.created_at, now),
            "this one" if key.own else "",
            key.role,
            key.person,
        )
        for key in listed
    ]
    columns = ("id", "status", "created", "in use", "role", "member")
    tables.show(tables.Columns(columns, flexible=("member",)), rows)


@app.command()
def create(
    *,
    role: Annotated[
        Role,
        typer.Option(
            "--role",
            metavar="ROLE",
            help="What it may do: owner (everything), member (run jobs, change what the account "
            "has) or reader (change nothing).",
        ),
    ] = Role.OWNER,
    json: AsJson = False,
) -> None:
    """Create an API key; its secret is shown only once.

    It may not do more than the key in use.

    \b
    Examples:
      $ picloud key create
      pk_...
      $ picloud key create --role reader
      pk_...
    """  # noqa: D301 - \b keeps the lines apart
    created = client().keys.create(role)
    if json:
        output.as_json({"key": created.key, "account": created.account})
    else:
        output.text(created.key)


@app.command()
def activate(key_id: KeyId, *, json: AsJson = False) -> None:
    """Activate an API key, so that the server accepts it again.

    \b
    Examples:
      $ picloud key activate 0123456789ab
    """  # noqa: D301 - \b keeps the lines apart
    _print_state(client().keys.set_active(key_id, active=True), json=json)


@app.command()
def deactivate(key_id: KeyId, *, json: AsJson = False) -> None:
    """Deactivate an API key; takes effect within 5 seconds.

    The key in use cannot be deactivated; use another key of your account to do that.

    \b
    Examples:
      $ picloud key deactivate 0123456789ab
    """  # noqa: D301 - \b keeps the lines apart
    _print_state(client().keys.set_active(key_id, active=False), json=json)


@app.command("webhook-secret")
def webhook_secret(
    *,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Replace it first; the old one is valid for a day.")
    ] = False,
) -> None:
    """Print the secret that signs the webhooks of your account.

    \b
    Examples:
      $ picloud key webhook-secret
      $ picloud key webhook-secret --rotate
    """  # noqa: D301 - \b keeps the lines apart
    output.text(account.rotate_webhook_secret() if rotate else account.webhook_secret())


def _print_state(key: ListedKey, *, json: bool) -> None:
    if json:
        output.as_json(_fields(key))
    else:
        output.hint(f"Key {key.id} is {'active' if key.active else 'deactivated'}.")


def _fields(key: ListedKey) -> dict[str, object]:
    return {
        "id": key.id,
        "active": key.active,
        "created": units.iso(key.created_at),
        "own": key.own,
        "role": key.role,
        "member": key.person,
    }
