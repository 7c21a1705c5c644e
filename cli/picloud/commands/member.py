"""`picloud member`."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from cloud._client.current import client
from cloud._resources.member import MemberClient
from picloud_model.wire.role import Role

from picloud import output, tables, units
from picloud.help_pages import HelpfulGroup
from picloud.options.arguments import AsJson  # noqa: TC001 - Typer reads it

app = typer.Typer(rich_markup_mode=None, cls=HelpfulGroup)

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="E-mail address or name by which they sign in.")
]
ROLE_HELP = "owner, member (runs jobs, changes what the account has) or reader (changes nothing)."


@app.callback()
def members() -> None:
    """Invite people to your account, list them, change their roles and remove them.

    A person who accepts an invitation signs in to the web pages by a name and a password.

    \b
    Examples:
      $ picloud member invite --role reader
      $ picloud member list
      $ picloud member role ada@example.org owner
      $ picloud member remove ada@example.org
    """  # noqa: D301 - \b keeps the lines apart


@app.command()
def invite(
    *,
    role: Annotated[Role, typer.Option("--role", metavar="ROLE", help=ROLE_HELP)] = Role.MEMBER,
    json: AsJson = False,
) -> None:
    """Print a link by which a person becomes a member of your account.

    It works once, within a week. Send it to that person only.

    \b
    Examples:
      $ picloud member invite
      $ picloud member invite --role reader
    """  # noqa: D301 - \b keeps the lines apart
    made = _members().invite(role)
    if json:
        output.as_json(
            {
                "id": made.invite.id,
                "role": made.invite.role,
                "expires": units.iso(made.invite.expires_at),
                "link": made.link,
            }
        )
        return
    output.text(made.link)


@app.command("list")
def list_members(*, json: AsJson = False) -> None:
    """List the members of your account, in the order in which they joined.

    \b
    Examples:
      $ picloud member list
    """  # noqa: D301 - \b keeps the lines apart
    listed = _members().list()
    if json:
        output.as_json(
            [
                {"name": each.name, "role": each.role, "joined": units.iso(each.joined_at)}
                for each in listed
            ]
        )
        return
    now = time.time()
    rows = [(each.name, each.role, units.moment(each.joined_at, now)) for each in listed]
    tables.show(tables.Columns(("name", "role", "joined"), flexible=("name",)), rows)


@app.command("role")
def change_role(
    name: Name,
    role: Annotated[Role, typer.Argument(metavar="ROLE", help=ROLE_HELP)],
) -> None:
    """Give a member another role; sessions of the member end.

    API keys of the member that may do more than the new role are deactivated.

    \b
    Examples:
      $ picloud member role ada@example.org reader
    """  # noqa: D301 - \b keeps the lines apart
    _members().change_role(name, role)
    output.hint(f"The role of {name} is {role}.")


@app.command()
def remove(name: Name) -> None:
    """Remove a member; sessions of the member end, and keys of the member are deactivated.

    \b
    Examples:
      $ picloud member remove ada@example.org
    """  # noqa: D301 - \b keeps the lines apart
    _members().remove(name)
    output.hint(f"{name} is no longer a member of your account.")


@app.command()
def invites(*, json: AsJson = False) -> None:
    """List the invitations that can be accepted, oldest first, without their links.

    \b
    Examples:
      $ picloud member invites
    """  # noqa: D301 - \b keeps the lines apart
    listed = _members().invites()
    if json:
        output.as_json(
            [
                {
                    "id": each.id,
                    "role": each.role,
                    "made_by": each.made_by,
                    "expires": units.iso(each.expires_at),
                }
                for each in listed
            ]
        )
        return
    now = time.time()
    rows = [
        (each.id, each.role, each.made_by, units.moment(each.created_at, now)) for each in listed
    ]
    tables.show(tables.Columns(("id", "role", "made by", "created"), flexible=("made by",)), rows)


@app.command()
def revoke(
    invite_id: Annotated[str, typer.Argument(metavar="ID", help="Id of an invitation.")],
) -> None:
    """Revoke an invitation, so that its link no longer works.

    \b
    Examples:
      $ picloud member revoke 0123456789ab
    """  # noqa: D301 - \b keeps the lines apart
    _members().revoke(invite_id)
    output.hint(f"The invitation {invite_id} is revoked.")


def _members() -> MemberClient:
    return MemberClient(client().transport)
