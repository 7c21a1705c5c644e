"""The OpenAPI document of a published function."""

from __future__ import annotations

from typing import Any

import pytest
from openapi_spec_validator import validate
from picloud_api.resources.endpoint_document import endpoint_document
from picloud_model.wire.rest import EndpointInfo, Parameter

PATH = "/r/a0000001/e"


def described(**changed: Any) -> dict[str, Any]:
    """Return the document of an endpoint."""
    fields = {"label": "e", "path": PATH, "function_name": "m.f", "published_at": 0.0}
    return endpoint_document(EndpointInfo(**{**fields, **changed}))


@pytest.mark.parametrize("out_encoding", ["json", "raw", "pickle"])
@pytest.mark.parametrize("public", [True, False])
def test_it_is_a_valid_document(out_encoding: str, public: bool) -> None:
    """For each encoding of results and each access."""
    x = Parameter(name="x", kind="text", nullable=True)

    document = described(out_encoding=out_encoding, public=public, parameters=[x])

    validate(document)
    call = document["paths"][PATH]["post"]
    assert call["security"] == ([] if public else [{"basic": []}])
    assert (document["info"]["title"], document["info"]["version"]) == ("e", "1")


@pytest.mark.parametrize(
    ("parameter", "schema"),
    [
        (Parameter(name="x"), {}),
        (Parameter(name="x", kind="bool"), {"type": "boolean"}),
        (Parameter(name="x", kind="int", nullable=True), {"type": ["integer", "null"]}),
        (Parameter(name="x", kind="float"), {"type": "number"}),
        (Parameter(name="x", kind="text"), {"type": ["string", "number"]}),
        (Parameter(name="x", kind="list", required=False), {"type": "array"}),
        (Parameter(name="x", kind="dict"), {"type": "object"}),
    ],
)
def test_arguments_have_the_types_that_are_checked(
    parameter: Parameter, schema: dict[str, Any]
) -> None:
    """As JSON and as a form; arguments with a default value may be left out."""
    call = described(parameters=[parameter])["paths"][PATH]["post"]

    for content in call["requestBody"]["content"].values():
        assert content["schema"]["properties"] == {"x": schema}
        assert content["schema"]["required"] == (["x"] if parameter.required else [])
        assert content["schema"]["additionalProperties"] is False
    assert call["requestBody"]["required"] is parameter.required


def test_a_raw_result_has_its_content_type() -> None:
    """Without one it is bytes."""
    for content_type, shown in (("image/png", "image/png"), ("", "application/octet-stream")):
        document = described(out_encoding="raw", content_type=content_type)
        assert [*document["paths"][PATH]["post"]["responses"]["200"]["content"]] == [shown]
