"""`picloud key`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from cloud._client.current import client
from cloud._resources.key import id_of

from picloud import output
from picloud.options.arguments import AsJson  # noqa: TC001 - Typer reads it

if TYPE_CHECKING:
    from picloud_model.wire import ListedKey

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

KeyId = Annotated[str, typer.Argument(metavar="ID", help="The id of a key: pk_ID_...")]


@app.callback()
def keys() -> None:
    """Make, list and switch off the API keys of your account.

    \b
    Examples:
      $ picloud key list
      $ picloud key create
      $ picloud key deactivate 0123456789ab
    """  # noqa: D301 - \b keeps the lines apart


@app.command("list")
def list_keys(
    *,
    active: Annotated[bool, typer.Option("--active", help="Leave out deactivated ones.")] = False,
    json: AsJson = False,
) -> None:
    """List your API keys, the oldest first; their secrets are kept nowhere.

    \b
    Examples:
      $ picloud key list
      $ picloud key list --active --json
    """  # noqa: D301 - \b keeps the lines apart
    found = client().keys.list(active_only=active)
    if json:
        output.as_json([_told(key) for key in found])
        return
    rows = [
        (key.id, "active" if key.active else "inactive", _time(key), "this one" if key.own else "")
        for key in found
    ]
    output.table(("id", "status", "created", "in use"), rows)


@app.command()
def create(*, json: AsJson = False) -> None:
    """Make an API key. It is shown now and never again.

    \b
    Examples:
      $ picloud key create
      pk_...
    """  # noqa: D301 - \b keeps the lines apart
    made = client().keys.create()
    if json:
        output.as_json({"key": made.key, "account": made.account})
    else:
        output.text(made.key)


@app.command()
def activate(key_id: KeyId, *, json: AsJson = False) -> None:
    """Let an API key open your account again."""
    _switched(client().keys.set_active(id_of(key_id), active=True), json=json)


@app.command()
def deactivate(key_id: KeyId, *, json: AsJson = False) -> None:
    """Let an API key open nothing any more, within 5 seconds.

    The key in use cannot be deactivated: use another one of your account.
    """
    _switched(client().keys.set_active(id_of(key_id), active=False), json=json)


def _switched(key: ListedKey, *, json: bool) -> None:
    if json:
        output.as_json(_told(key))
    else:
        output.hint(f"Key {key.id} is {'active' if key.active else 'deactivated'}.")


def _told(key: ListedKey) -> dict[str, object]:
    return {"id": key.id, "active": key.active, "created": key.created_at, "own": key.own}


def _time(key: ListedKey) -> str:
    return datetime.fromtimestamp(key.created_at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
