"""POST /weft/v1/audits and the schema of its body."""

from typing import Any

import jsonschema
import pytest

from tests.unit.api.conftest import Api, W

TWINS = {
    "hosts": [{"name": "n1", "type": "hyperv"}],
    "machines": [
        {"name": name, "host": "n1", "power": "Running", "interfaces": [{"mac": mac, "switch": "LAN"}]}
        for name, mac in (("a", "00-1D-D8-B7-1C-01"), ("b", "001dd8b71c01"))
    ],
}


async def test_an_audit_finds_and_keeps_nothing(api: Api) -> None:
    before = (await api.body("/readyz"))["revision"]
    answer = await api.post(f"{W}/audits", TWINS)
    assert answer.status_code == 200
    (finding,) = answer.json()["findings"]
    assert (finding["code"], finding["machines"], finding["address"]) == (
        "duplicateMac",
        ["a", "b"],
        "00-1D-D8-B7-1C-01",
    )
    assert answer.json()["summary"]["critical"] == 1
    assert (await api.body("/readyz"))["revision"] == before


async def test_the_schema_is_of_what_is_read(api: Api) -> None:
    schema = await api.body(f"{W}/schemas/inventory")
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid(TWINS)
    assert not validator.is_valid({"machine": []})


async def test_the_description_has_the_whole_inventory(api: Api) -> None:
    description = await api.body("/openapi.json")
    components = description["components"]["schemas"]
    body = description["paths"]["/weft/v1/audits"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/Inventory"}
    schema = (await api.body(f"{W}/schemas/inventory"))["$defs"]
    for name, described in schema.items():
        assert set(components[name]["properties"]) == set(described["properties"]), name


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        (b"{", "InvalidRequestFormat", "schemas/inventory"),
        (b'{"machines": [{}]}', "InvalidRequestFormat", "`name`"),
        (b'{"machins": []}', "InvalidRequestFormat", "machins"),
        (
            b'{"machines": [{"name": "a", "interfaces": [{"mac": "x"}]}]}',
            "InvalidInventory",
            "machines[0].interfaces[0].mac",
        ),
        (b"[" * 100_000, "InvalidRequestFormat", "no inventory"),
        (b'{"machines": "\xff"}', "InvalidRequestFormat", "no inventory"),
    ],
)
async def test_what_cannot_be_read_is_refused_with_its_place(api: Api, body: bytes, code: str, said: str) -> None:
    answer = await api.send("POST", f"{W}/audits", body)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == code
    assert said in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "audits", 405),
        ("POST", "schemas/inventory", 405),
        ("GET", "audits/a1", 404),
        ("GET", "schemas/other", 404),
        ("POST", "audits?wait=hosts", 400),
        ("GET", "schemas/inventory?format=xml", 400),
    ],
)
async def test_other_questions(api: Api, method: str, path: str, status: int) -> None:
    answer: Any = await api.send(method, f"{W}/{path}", b"{}" if method == "POST" else b"")
    assert answer.status_code == status, answer.text
