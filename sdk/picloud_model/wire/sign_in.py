"""Sign-in links: the request for one, and the answer."""

from __future__ import annotations

from picloud_model.wire.body import Answer, Request


class SignInRequest(Request, frozen=True):
    """Make a link that signs a browser in to the web pages: `POST /v1/sign-ins`.

    It works once, within a minute. A repeated request gets another link.
    """


class SignInLink(Answer, frozen=True):
    """The path of a sign-in link: a browser that opens it acts with the caller's key."""

    path: str

    def __repr__(self) -> str:
        return "SignInLink()"
