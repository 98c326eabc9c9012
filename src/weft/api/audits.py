"""POST /weft/v1/audits and GET /weft/v1/schemas/inventory: what is wrong with an inventory. Called by weft.api.routes.

An audit looks at what it is given and at nothing else, keeps nothing and changes nothing. It runs in a thread of its
own: a hundred thousand machines take seconds, in which others are answered.
"""

import asyncio

import msgspec

from weft.api.call import Answer, Call, encode, json_answer
from weft.core.audit.report import audit
from weft.model.errors import InvalidRequestFormat
from weft.model.inventory import Inventory, schema

_decode = msgspec.json.Decoder(Inventory).decode


async def of_inventory(call: Call) -> Answer:
    """The report. Raises InvalidRequestFormat for a body of another shape, InvalidInventory for a wrong value."""
    call.only()
    return Answer(200, await asyncio.to_thread(_report, call.body))


def _report(body: bytes) -> bytes:
    try:
        inventory = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        raise InvalidRequestFormat(
            f"The body is no inventory: {fault}. GET /weft/v1/schemas/inventory describes one."
        ) from None
    return encode(audit(inventory))


def inventory_schema(call: Call) -> Answer:
    """The JSON Schema of an inventory."""
    call.only()
    return json_answer(schema())
