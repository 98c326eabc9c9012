"""Everything Weft refuses or fails at, as one tree. The family says what the caller can do.

    WeftError
      Refusal                      the request is at fault: change it            4xx
        Invalid                    a value breaks a rule                         400
          InvalidMacAddress, InvalidResourceName, InvalidReference, InvalidRequestFormat
        NotFound                                                                 404
        Conflict                   true now, another time it may pass            409
          InUse, AddressInUse, PoolIsFull, NotReady
        PreconditionFailed         If-Match or If-None-Match                     412
        Compacted                  the cursor is older than the log: list again  410
      Unavailable                  try again later                               503
        StoreUnavailable, ControllerEnding, WaitTimedOut (504)
      Broken                       a person must look                            500
        StoreCorrupt, StoreLocked, StoreTooNew

`code` is the error.code of MS-NCNBI 3.1.5.35 where it has one, else ours in its style. `message` says what is wrong
and what to do. `target` names the property or resource.
"""


class WeftError(Exception):
    """Base of all. `status` is the HTTP status that the API answers with."""

    status = 500
    code = "InternalServerError"

    def __init__(self, message: str, *, code: str | None = None, target: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.target = target
        if code is not None:
            self.code = code


class Refusal(WeftError):
    """The request cannot be granted as it stands; nothing was changed."""

    status = 400
    code = "BadRequest"
    position: int | None = None
    """Of a refused batch: which of its commands is at fault, from 0."""
    scope: str = ""
    """Of an address that is not to be had: its scope in the ledger. Empty where the refusal is about none."""
    address: int = 0
    asker: str = ""
    """resourceRef of what asked for that address."""


class Invalid(Refusal):
    """A value breaks a rule of the model."""

    status = 400
    code = "InvalidParameterValue"


class InvalidMacAddress(Invalid):
    code = "InvalidPrivateMacAddress"

    def __init__(self, text: str, why: str = "it is not a MAC address", *, code: str | None = None) -> None:
        super().__init__(f"'{text}': {why}. Write six octets such as 00-1D-D8-B7-1C-00.", code=code)


class InvalidResourceName(Invalid):
    code = "InvalidResourceName"

    def __init__(self, text: str) -> None:
        super().__init__(f"'{text}' is no resource id: use 1 to 64 of letters, digits, '.', '_', '-'; not dots alone.")


class InvalidReference(Invalid):
    """A resourceRef that points at nothing, or at the wrong kind."""

    code = "InvalidResourceReference"


class InvalidRequestFormat(Invalid):
    """The body cannot be read at all; `detail_code` is InvalidJson, InvalidJsonReferenceFormat or ...WrongType."""

    code = "InvalidRequestFormat"

    def __init__(self, message: str, *, detail_code: str = "InvalidJson", target: str | None = None) -> None:
        super().__init__(message, target=target)
        self.detail_code = detail_code


class NotFound(Refusal):
    status = 404
    code = "NotFound"


class Conflict(Refusal):
    status = 409
    code = "Conflict"


class InUse(Conflict):
    """Something still refers to the resource; the message names it."""

    code = "ResourceInUse"


class AddressInUse(Conflict):
    """The address is held or cooling; the message names the holder. IP addresses have a code of their own."""

    code = "PrivateMacAddressInUse"


class PoolIsFull(Conflict):
    """No free address; the message says which states hold the space and what can be reclaimed."""

    code = "MacPoolIsFull"


class NotReady(Conflict):
    """A host cannot do it now (ServerNotReady), with the reason."""

    code = "ServerNotReady"


class PreconditionFailed(Refusal):
    status = 412
    code = "PreconditionFailed"


class Compacted(Refusal):
    """The log no longer reaches back to the cursor: take a full state."""

    status = 410
    code = "Compacted"


class Unavailable(WeftError):
    status = 503
    code = "ServiceUnavailable"


class StoreUnavailable(Unavailable):
    """The database refused the transaction (disk full, connection lost); nothing of the batch was kept."""


class ControllerEnding(Unavailable):
    """The controller was told to end while it still worked on the request: what was asked may have been done."""

    code = "ControllerEnding"


class WaitTimedOut(Unavailable):
    """The change is committed, but not every host that needs it has applied it; `message` lists those that lag."""

    status = 504
    code = "HostsLag"


class Broken(WeftError):
    """A person must look; Weft writes nothing over it."""


class StoreCorrupt(Broken):
    code = "StoreCorrupt"


class StoreLocked(Broken):
    code = "StoreLocked"


class StoreTooNew(Broken):
    code = "StoreTooNew"
