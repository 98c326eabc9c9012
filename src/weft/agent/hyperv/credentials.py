"""How the agent proves to a Hyper-V host who it is. Called by __main__ and by the tests on a real host.

Secrets come from the environment or from a file that only its owner can read, never from the command line, where every
user of the machine could see them.
"""

import stat
from collections.abc import Mapping
from pathlib import Path

import msgspec

from weft.model.errors import Invalid

AUTHENTICATIONS = ("negotiate", "kerberos", "certificate")
PREFIX = "WEFT_HYPERV_"
"""Environment: WEFT_HYPERV_USER, WEFT_HYPERV_PASSWORD, and so on."""


class Credentials(msgspec.Struct, frozen=True):
    """Of one user for any host. With kerberos both may be empty: then the ticket cache of this process counts."""

    user: str = ""
    """DOMAIN\\\\name, name@REALM or a local name."""
    password: str = ""
    certificate: str = ""
    """PEM file of the client's certificate, and `key` that of its key."""
    key: str = ""

    def __repr__(self) -> str:
        return f"Credentials(user={self.user!r}, certificate={self.certificate!r})"


def read_credentials(environment: Mapping[str, str], file: Path | None = None) -> Credentials:
    """What the environment says, and for what it does not say the file of lines `name=value`. Raises Invalid."""
    told = {name: environment.get(f"{PREFIX}{name.upper()}", "") for name in Credentials.__struct_fields__}
    written = _read(file) if file is not None else {}
    return Credentials(**{name: told[name] or written.get(name, "") for name in told})


def check_credentials(credentials: Credentials, authentication: str) -> None:
    """Raises Invalid where that way of authentication needs something that is not there."""
    if authentication not in AUTHENTICATIONS:
        raise Invalid(f"authentication is one of {', '.join(AUTHENTICATIONS)}, not '{authentication}'.")
    if authentication == "certificate" and not (credentials.certificate and credentials.key):
        raise Invalid(f"Certificate authentication needs {PREFIX}CERTIFICATE and {PREFIX}KEY: two PEM files.")
    if authentication == "negotiate" and not (credentials.user and credentials.password):
        raise Invalid(
            f"Set {PREFIX}USER and {PREFIX}PASSWORD, or name a file with user=... and password=... that only its owner "
            "can read; with a Kerberos ticket use kerberos authentication."
        )


def _read(file: Path) -> dict[str, str]:
    try:
        mode = file.stat().st_mode
        if stat.S_IMODE(mode) & 0o077:
            raise Invalid(f"{file} can be read by others than its owner: chmod 600 {file}.", target="credentials")
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{file} cannot be read: {error}.", target="credentials") from error
    written: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        name, equals, value = line.partition("=")
        if not line.strip() or line.startswith("#"):
            continue
        if not equals or name.strip() not in Credentials.__struct_fields__:
            known = ", ".join(Credentials.__struct_fields__)
            raise Invalid(f"{file}, line {number}: write name=value, the name one of {known}.", target="credentials")
        written[name.strip()] = value
    return written
