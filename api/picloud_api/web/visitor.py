"""Visitors: the account that a cookie acts for, and whether a form came from one of our pages."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

import msgspec
from falcon import uri
from picloud_model.errors import KeyRefused, NotAllowed, RequestRefused
from picloud_model.wire.role import Role

from picloud_api.resources.audit_trail import note_form
from picloud_api.resources.body import authenticate, read_bytes, set_account
from picloud_api.resources.cross_origin import is_foreign
from picloud_api.usecases.accounts.account import Holder
from picloud_api.usecases.accounts.web_session import SESSION_S

if TYPE_CHECKING:
    from collections.abc import Mapping

    from falcon.asgi import Request, Response

    from picloud_api.usecases.accounts.web_session import WebSessions

FORM_BYTES: Final = 256 * 1024
"""The longest body of a form that has no file."""
TOKEN: Final = "form_token"  # noqa: S105 - the name of a field
"""The field of a form that holds what only pages of the session know."""
_FOREIGN: Final = "This request was sent by another site, so it was refused."
_STALE: Final = "This form belongs to another session: go back, reload the page and try again."


class Visitor(msgspec.Struct, frozen=True):
    """Whom a browser acts for, and the token of its forms."""

    holder: Holder
    form_token: str

    @property
    def account(self) -> str:
        """The account that it acts for."""
        return self.holder.account

    @property
    def may_change(self) -> bool:
        """Whether pages have the forms and buttons that change something."""
        return self.holder.role.includes(Role.MEMBER)

    @property
    def is_owner(self) -> bool:
        """Whether pages have the forms that decide for all members."""
        return self.holder.role is Role.OWNER


class Visitors:
    """Recognises visitors, signs them in and out, and checks their forms."""

    def __init__(self, sessions: WebSessions) -> None:
        self._sessions = sessions

    async def of(self, request: Request) -> Visitor:
        """Return the visitor who sent a request.

        Raises:
            KeyRefused: When the browser is not signed in.
            RoleRefused: When the role of the visitor does not allow the request.
            AccountBusy: When too many requests of the account are not answered yet.
        """
        holder: Holder = await authenticate(request, self._sessions.recognise, read=_session_of)
        set_account(request, holder.account)
        token = self._sessions.form_token(_session_of(request))
        return Visitor(holder, token)

    async def form(self, request: Request, visitor: Visitor) -> dict[str, list[str]]:
        """Return the fields of a form that a visitor has sent from a page.

        Raises:
            NotAllowed: When it was sent by another site, or by another session.
            RequestRefused: When it cannot be read.
            TooLarge: When it is too long.
        """
        check_origin(request)
        fields = await read_form(request)
        self.check_token(visitor, text_of(fields, TOKEN))
        await note_form(request, fields)
        return fields

    async def sign_in(self, request: Request, response: Response, session: str) -> None:
        """Have the browser send a session from now on, which the audit log says."""
        request.context.sender = await self._sessions.recognise(session)
        await note_form(request, {})
        set_cookie(request, response, _cookie(request), session, age_s=SESSION_S)

    def check_token(self, visitor: Visitor, token: str) -> None:
        """Check what a form contains to prove that it came from a page of the visitor's session.

        Raises:
            NotAllowed: When it did not.
        """
        if not hmac.compare_digest(token.encode(), visitor.form_token.encode()):
            raise NotAllowed(_STALE)


async def read_form(request: Request) -> dict[str, list[str]]:
    """Return the fields of a form, each with its values.

    Raises:
        RequestRefused: When the body is not a form in UTF-8.
        TooLarge: When it is too long.
    """
    if not (request.content_type or "").startswith("application/x-www-form-urlencoded"):
        raise RequestRefused("The request must have the fields of a form.")
    try:
        text = (await read_bytes(request, FORM_BYTES)).decode("ascii")
    except UnicodeDecodeError:
        raise RequestRefused("The fields of the form cannot be read.") from None
    fields: Mapping[str, str | list[str]] = uri.parse_query_string(text, keep_blank=True)
    return {
        name: values if isinstance(values, list) else [values] for name, values in fields.items()
    }


def text_of(fields: Mapping[str, list[str]], name: str) -> str:
    """Return the first value of a field; "" if the form has no such field.

    >>> text_of({"id": ["a"]}, "id"), text_of({}, "id")
    ('a', '')
    """
    return fields.get(name, [""])[0]


def check_origin(request: Request) -> None:
    """Check that a form was not sent by a page of another site.

    Browsers say so; the token of the form protects also where one does not.

    Raises:
        NotAllowed: When it was.
    """
    if is_foreign(request):
        raise NotAllowed(_FOREIGN)


def sign_out(request: Request, response: Response) -> None:
    """Have the browser forget its session."""
    set_cookie(request, response, _cookie(request), "", age_s=0)


def set_cookie(
    request: Request, response: Response, name: str, value: str, *, age_s: int, path: str = "/"
) -> None:
    """Have the browser send a cookie for so many seconds, which scripts cannot read."""
    response.set_cookie(
        name,
        value,
        max_age=age_s,
        path=path,
        http_only=True,
        same_site="Lax",
        secure=request.forwarded_scheme == "https",
    )


def _cookie(request: Request) -> str:
    """Return the name of the cookie: browsers send it to every port of a host."""
    return f"picloud_session_{request.port}"


def _session_of(request: Request) -> str:
    values = request.get_cookie_values(_cookie(request))
    if not values:
        raise KeyRefused("You are not signed in, or your session has ended.")
    return values[0]
