"""The real shell: PowerShell Remoting (MS-PSRP) to one host by WinRM over HTTPS, with the library pypsrp.

Made by run.py. pypsrp blocks and its sessions are for one thread at a time, so each session has a thread of its own;
there are at most `sessions` of both, opened when they are first needed and kept. A session that failed is closed. The
library comes with the extra `hyperv` of this package and is imported here alone.
"""

import asyncio
import contextlib
import importlib.util
import json
import re
import ssl
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import msgspec

from weft.agent.hyperv.credentials import Credentials, check_credentials
from weft.agent.hyperv.shell import CredentialsRefused, HostUnreachable, ScriptFailed, ShellError, told_by_script
from weft.core.hyperv.script import Script
from weft.model.errors import Invalid

if TYPE_CHECKING:
    from pypsrp.powershell import PowerShell, RunspacePool

SESSIONS = 3
"""Facts and two verbs. WinRM allows a user 30 shells on a host unless it was told otherwise."""
CONNECT_SECONDS = 10
POLL_SECONDS = 15
"""A script is asked so often whether it has ended; a host that died is noticed after READ_SECONDS."""
READ_SECONDS = 30
REFUSED_SECONDS, MAX_REFUSED_SECONDS = 60.0, 1800.0
"""A user whose password is refused is not tried again before: domains lock accounts out after a few failures."""
_ACCESS_DENIED = "5"
_STACK_LINE = re.compile(r": line ([0-9]+)")


class Endpoint(msgspec.Struct, frozen=True):
    """Where the host's WinRM listens, and how far it is trusted."""

    host: str
    port: int = 5986
    authentication: str = "negotiate"
    """negotiate (Kerberos or NTLM), kerberos or certificate."""
    verify: bool = True
    """Check the host's TLS certificate."""
    authorities: str = ""
    """PEM file of the authorities to trust; empty: those of the system."""
    sessions: int = SESSIONS


class PsrpShell:
    """Fulfils weft.agent.hyperv.shell.Shell."""

    def __init__(self, endpoint: Endpoint, credentials: Credentials) -> None:
        """Connects to nothing yet. Raises Invalid for credentials that cannot do, and where pypsrp is missing."""
        check_credentials(credentials, endpoint.authentication)
        if importlib.util.find_spec("pypsrp") is None:
            raise Invalid("Hyper-V hosts are reached with pypsrp, which is not installed: pip install 'weft[hyperv]'.")
        self.host = endpoint.host
        self._endpoint = endpoint
        self._credentials = credentials
        self._free = asyncio.Semaphore(endpoint.sessions)
        self._idle: list[_Session] = []
        self._threads = ThreadPoolExecutor(endpoint.sessions, thread_name_prefix=f"winrm {endpoint.host}")
        self._closed = False
        self._refused = ""
        self._pause = 0.0
        self._refused_until = 0.0

    async def run(self, script: Script, arguments: Any) -> Any:
        await self._free.acquire()
        waits = self._refused_until - asyncio.get_running_loop().time()
        if waits > 0:
            self._free.release()
            raise CredentialsRefused(self.host, f"{self._refused}; tried again in {waits:.0f} s, lest it be locked out")
        session = self._idle.pop() if self._idle else _Session(self._endpoint, self._credentials)
        text = json.dumps(msgspec.to_builtins(arguments))
        work = asyncio.get_running_loop().run_in_executor(self._threads, session.run, script, text)
        work.add_done_callback(lambda done: self._give_back(session, done))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            session.abandoned.set()
            raise

    async def close(self) -> None:
        """Close the sessions that nobody uses; those in use close when their script ends."""
        self._closed = True
        idle, self._idle = self._idle, []
        for session in idle:
            await asyncio.get_running_loop().run_in_executor(self._threads, session.close)
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _give_back(self, session: "_Session", done: "asyncio.Future[Any]") -> None:
        self._free.release()
        failure = None if done.cancelled() else done.exception()
        if isinstance(failure, CredentialsRefused):
            self._pause = min(max(2 * self._pause, REFUSED_SECONDS), MAX_REFUSED_SECONDS)
            self._refused = failure.message
            self._refused_until = asyncio.get_running_loop().time() + self._pause
        elif failure is None and not done.cancelled() and not self._closed:
            self._pause = 0.0
            self._idle.append(session)


class _Session:
    """One runspace on the host, for one thread at a time."""

    def __init__(self, endpoint: Endpoint, credentials: Credentials) -> None:
        self.abandoned = threading.Event()
        """Nobody waits for the script any more: stop it."""
        self._endpoint = endpoint
        self._credentials = credentials
        self._pool: RunspacePool | None = None

    def run(self, script: Script, text: str) -> Any:
        """Raises ShellError; the session is closed then."""
        try:
            return self._answer(script, self._invoke(script, text))
        except ShellError:
            self.close()
            raise
        except Exception as error:
            self.close()
            raise _translated(self._endpoint.host, error) from error

    def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            # the host may be gone, and its shells with it
            with contextlib.suppress(Exception):
                pool.close()
            with contextlib.suppress(Exception):
                pool.connection.close()

    def _invoke(self, script: Script, text: str) -> "PowerShell":
        from pypsrp.exceptions import WinRMError
        from pypsrp.powershell import PowerShell

        kept = self._pool is not None
        shell = PowerShell(self._open())
        shell.add_script(script.text).add_parameter("Json", text)
        try:
            shell.begin_invoke()
        except (WinRMError, OSError) as error:
            if not kept or (isinstance(error, OSError) and not script.reads):
                # a line that broke may have brought the script there first: what it changes, it would change twice
                raise
            # the host closed the idle session, or restarted
            self.close()
            shell = PowerShell(self._open())
            shell.add_script(script.text).add_parameter("Json", text)
            shell.begin_invoke()
        self._wait(shell)
        return shell

    def _wait(self, shell: "PowerShell") -> None:
        from pypsrp.complex_objects import PSInvocationState

        while shell.state == PSInvocationState.RUNNING:
            if self.abandoned.is_set():
                shell.stop()
                raise HostUnreachable(self._endpoint.host, "nobody waits for the script any more: it was stopped")
            shell.poll_invoke(timeout=POLL_SECONDS)

    def _open(self) -> "RunspacePool":
        if self._pool is None:
            from pypsrp.powershell import RunspacePool

            connection = _connection(self._endpoint, self._credentials)
            try:
                pool = RunspacePool(connection)
                pool.open()
            except BaseException:
                connection.close()
                raise
            self._pool = pool
        return self._pool

    def _answer(self, script: Script, shell: "PowerShell") -> Any:
        if shell.had_errors or shell.streams.error:
            raise script_failure(self._endpoint.host, script, shell.streams.error[-1:])
        written = "".join(str(one) for one in shell.output)
        with contextlib.suppress(Exception):
            shell.close()
        try:
            return json.loads(written)
        except ValueError:
            raise ScriptFailed(self._endpoint.host, script.name, f"it wrote no JSON but {written[:200]!r}") from None


def _connection(endpoint: Endpoint, credentials: Credentials) -> Any:
    from pypsrp.wsman import WSMan

    # the name of a file of authorities is as good as True, though its type says otherwise
    trust: Any = endpoint.authorities or endpoint.verify
    return WSMan(
        endpoint.host,
        port=endpoint.port,
        ssl=True,
        auth=endpoint.authentication,
        username=credentials.user or None,
        password=credentials.password or None,
        cert_validation=trust,
        certificate_pem=credentials.certificate or None,
        certificate_key_pem=credentials.key or None,
        connection_timeout=CONNECT_SECONDS,
        operation_timeout=POLL_SECONDS,
        read_timeout=READ_SECONDS,
    )


def _translated(host: str, error: Exception) -> ShellError:
    """pypsrp, its HTTP client and its authentication raise what they like."""
    import requests
    from pypsrp.exceptions import AuthenticationError, WinRMTransportError, WSManFaultError
    from spnego.exceptions import SpnegoError

    match error:
        case AuthenticationError() | SpnegoError():
            return CredentialsRefused(host, f"the credentials are refused: {error}")
        case WSManFaultError() if str(error.code) == _ACCESS_DENIED:
            return CredentialsRefused(host, "access is denied: the user may not use PowerShell Remoting here")
        case WinRMTransportError() if error.code in (401, 403):
            return CredentialsRefused(host, f"the credentials are refused: WinRM answers HTTP {error.code}")
        case WSManFaultError():
            return HostUnreachable(host, f"WinRM refuses: {error.reason or error.message}")
        case requests.exceptions.SSLError():
            return HostUnreachable(host, f"its TLS certificate is not to be trusted: {_reason(error)}")
        case requests.exceptions.Timeout():
            return HostUnreachable(host, "it does not answer in time")
        case requests.exceptions.ConnectionError():
            return HostUnreachable(host, f"cannot be reached by WinRM over HTTPS: {_reason(error)}")
    return HostUnreachable(host, f"{type(error).__name__}: {error}")


def _reason(error: BaseException) -> str:
    """What lies under the layers of an HTTP client, in the system's words."""
    while True:
        below = error.__cause__ or error.__context__ or next(iter(_exceptions(error.args)), None)
        if below is None:
            break
        error = below
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def _exceptions(values: Iterable[object]) -> Iterator[BaseException]:
    yield from (one for one in values if isinstance(one, BaseException))


def script_failure(host: str, script: Script, records: list[Any]) -> ScriptFailed:
    """The error that PowerShell reports, in one line. What our own scripts throw names its cmdlet itself."""
    if not records:
        return ScriptFailed(host, script.name, "PowerShell says that it failed and not why")
    record = records[-1]
    called = str(getattr(record, "activity", "") or getattr(record, "invocation_name", "") or "")
    cmdlet, message = told_by_script(str(record), called if "-" in called else "")
    return ScriptFailed(host, script.name, message, cmdlet=cmdlet, line=_line(record))


def _line(record: Any) -> int:
    """Where the cmdlet was called; PowerShell sends that by itself or in the words of the stack, or not at all."""
    told = getattr(record, "invocation_script_line_number", None)
    at = _STACK_LINE.search(str(getattr(record, "script_stacktrace", None) or ""))
    return int(told or (at[1] if at else 0))
