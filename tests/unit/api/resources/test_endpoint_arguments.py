"""Forms with files, as browsers and curl send them."""

from __future__ import annotations

import pytest
from picloud_api.resources.endpoint_arguments import parts_of
from picloud_model.errors import ArgumentRefused

KIND = "multipart/form-data; boundary=x"


def form(*parts: tuple[str, bytes]) -> bytes:
    """Return a body of parts, each with what follows `form-data;`."""
    pieces = (
        b"--x\r\nContent-Disposition: form-data; " + about.encode() + b"\r\n\r\n" + data + b"\r\n"
        for about, data in parts
    )
    return b"".join(pieces) + b"--x--\r\n"


def test_files_are_bytes_and_other_parts_text() -> None:
    """Whatever the bytes are; a field in which no file was chosen is left out."""
    data = bytes(range(256)) + b"\r\n--y\r\n"

    found = parts_of(
        form(
            ('name="a"; filename="a.png"', data),
            ('name="a"; filename="b"', b""),
            ('name="b"', b"\xff"),
            ('name="c"; filename=""', b""),
        ),
        KIND,
    )

    assert found == {"a": [data, b""], "b": ["\udcff"]}


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"x", KIND),
        (form(('name="a"', b"1"))[:-20], KIND),
        (form(('name="a"', b"1")), "multipart/form-data"),
        (form(('name="a"', b"1")), "multipart/form-data; boundary=y"),
        (form(*[('name="a"', b"")] * 1001), KIND),
    ],
)
def test_what_is_not_such_a_form_is_refused(data: bytes, kind: str) -> None:
    """In one sentence, which says how to send one."""
    with pytest.raises(ArgumentRefused, match="curl -F NAME=@FILE"):
        parts_of(data, kind)
