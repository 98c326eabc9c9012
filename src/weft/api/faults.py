"""Errors as answers: the one place where the error tree becomes HTTP (MS-NCNBI 3.1.5.35, body and codes)."""

from typing import Any

from weft.api.call import Answer, Headers, json_answer
from weft.model.errors import InvalidRequestFormat, NotFound, Refusal, Unavailable, WeftError


class MethodNotAllowed(Refusal):
    """The URL is served, but not with this method."""

    status = 405
    code = "OperationNotSupported"

    def __init__(self, method: str, allowed: tuple[str, ...]) -> None:
        super().__init__(f"{method} is not served here. Use {', '.join(allowed)}.")
        self.allowed = allowed


class BodyTooLarge(Refusal):
    status = 413
    code = "RequestTooLarge"


class ClientGone(Refusal):
    """The client left before it had sent its request; nobody reads this answer, but metrics count it."""

    code = "RequestIncomplete"


class ForeignHost(Refusal):
    """The Host or Origin header names another site: a page in a browser reaches for the controller."""

    status = 403
    code = "Forbidden"


class UnknownPath(NotFound):
    """No resource type or verb of this name."""


def body_of(fault: WeftError) -> dict[str, Any]:
    """The error body."""
    error: dict[str, Any] = {"code": fault.code, "message": fault.message}
    if fault.target:
        error["target"] = fault.target
    if isinstance(fault, InvalidRequestFormat):
        error["details"] = [{"code": fault.detail_code, "message": fault.message}]
    return {"error": error}


def answer_of(fault: WeftError) -> Answer:
    """The answer that an error becomes."""
    headers: Headers = ()
    if isinstance(fault, MethodNotAllowed):
        headers = ((b"allow", ", ".join(fault.allowed).encode()),)
    elif isinstance(fault, Unavailable) and fault.status == 503:
        headers = ((b"retry-after", b"1"),)
    return json_answer(body_of(fault), fault.status, headers)


def unexpected(request_id: str) -> Answer:
    """The answer to a failure of ours; what failed stands in the log beside the request id."""
    message = f"The controller failed on this request. Its log tells why under request id {request_id}."
    return json_answer({"error": {"code": "InternalServerError", "message": message}}, 500)
