"""Replies of the server at the host of a machine."""

from __future__ import annotations

from picloud_api.usecases.jobs.visits import visit_reply


def test_a_page_is_text_and_whole() -> None:
    """Whatever is in it is escaped, nothing runs, and nothing is kept."""
    head, _, body = visit_reply.page("404 Not Found", "<b>", "a & b").data.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")

    assert lines[0] == "HTTP/1.1 404 Not Found"
    assert f"Content-Length: {len(body)}" in lines
    assert "Cache-Control: no-store" in lines
    assert "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'" in lines
    assert b"&lt;b&gt;" in body
    assert b"a &amp; b" in body


def test_a_redirection_has_its_headers() -> None:
    """And no body."""
    data = visit_reply.redirect("/lab", ["Set-Cookie: a=1"]).data.decode()

    assert data.startswith("HTTP/1.1 303 See Other\r\n")
    assert "\r\nLocation: /lab\r\nSet-Cookie: a=1\r\nContent-Length: 0\r\n\r\n" in data
