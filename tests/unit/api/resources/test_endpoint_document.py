"""The OpenAPI document of a published function."""

from __future__ import annotations

from typing import Any

import pytest
from openapi_spec_validator import validate
from picloud_api.resources.endpoint_document import endpoint_document
from picloud_model.wire.argument_type import ArgumentType, TypeField
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


def test_types_of_every_kind_have_a_schema() -> None:
    """A function with a file takes a form with files, too."""
    number = ArgumentType(kind="int")
    types = {
        "point": ArgumentType(kind="object", fields=[TypeField(name="x", type=number)]),
        "union": ArgumentType(kind="union", items=[number, ArgumentType(kind="null")]),
        "choice": ArgumentType(kind="literal", values=["a", 1]),
        "pair": ArgumentType(kind="tuple", items=[number, ArgumentType()]),
        "none": ArgumentType(kind="tuple"),
        "table": ArgumentType(kind="dict", items=[ArgumentType(kind="list", items=[number])]),
    }
    kinds = ("bytes", "date", "datetime", "time", "duration", "decimal", "uuid", "bool", "str")
    types |= {kind: ArgumentType(kind=kind) for kind in kinds}  # type: ignore[misc]
    parameters = [
        Parameter(name=name, kind="typed", type=each, nullable=name == "pair")
        for name, each in types.items()
    ]
    data = Parameter(name="data", kind="bytes")

    document = described(parameters=[*parameters, data])

    validate(document)
    content = document["paths"][PATH]["post"]["requestBody"]["content"]
    properties = content["application/json"]["schema"]["properties"]
    assert properties["point"]["additionalProperties"] is False
    assert properties["point"]["required"] == ["x"]
    assert properties["pair"]["anyOf"][1] == {"type": "null"}
    assert properties["date"] == {"type": "string", "format": "date"}
    assert properties["data"]["contentEncoding"] == "base64"
    files = content["multipart/form-data"]["schema"]["properties"]
    assert files["data"] == {"contentMediaType": "application/octet-stream"}
