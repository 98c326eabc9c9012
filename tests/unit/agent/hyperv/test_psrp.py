"""The real shell against endpoints of this machine: nobody there, one that nobody trusts, one that refuses."""

import asyncio
import contextlib
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from tests.unit.agent.hyperv.certificates import certificate
from weft.agent.hyperv.credentials import Credentials
from weft.agent.hyperv.psrp import Endpoint, PsrpShell, script_failure
from weft.agent.hyperv.shell import CredentialsRefused, HostUnreachable
from weft.core.hyperv.script import PROLOGUE, Script
from weft.model.errors import Invalid

ECHO = Script("echo", PROLOGUE + "$arguments | ConvertTo-Json -Depth 8 -Compress")
WEFT = Credentials("weft", "hush")


class Answers(BaseHTTPRequestHandler):
    """Every request alike, with the status and headers of the server."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.server.asked += 1
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.server.status)
        if self.server.status == 401:
            self.send_header("WWW-Authenticate", "Negotiate")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *words):
        pass


class Server(ThreadingHTTPServer):
    def handle_error(self, request, address):
        """A client that does not trust us hangs up."""


@contextlib.contextmanager
def endpoint(pem, status):
    """An HTTPS server on this machine."""
    server = Server(("127.0.0.1", 0), Answers)
    server.status, server.asked = status, 0
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.asynccontextmanager
async def shell(**options):
    made = PsrpShell(Endpoint("localhost", **options), WEFT)
    try:
        yield made
    finally:
        await made.close()


async def test_a_host_where_nobody_listens():
    async with shell(port=1) as nobody:
        with pytest.raises(
            HostUnreachable, match="^localhost: cannot be reached by WinRM over HTTPS: Connection refused$"
        ):
            await nobody.run(ECHO, {})


async def test_a_certificate_that_nobody_vouches_for_ends_it_before_the_password_is_sent(tmp_path):
    with endpoint(certificate(tmp_path), 401) as server:
        async with shell(port=server.server_address[1]) as impostor:
            with pytest.raises(HostUnreachable, match="certificate is not to be trusted: self-signed certificate$"):
                await impostor.run(ECHO, {})


@pytest.mark.parametrize("status", [401, 403])
async def test_refused_credentials(tmp_path, status):
    pem = certificate(tmp_path)
    with endpoint(pem, status) as server:
        async with shell(port=server.server_address[1], authorities=str(pem)) as host:
            with pytest.raises(CredentialsRefused, match="^localhost: the credentials are refused") as refused:
                await host.run(ECHO, {})
        assert "hush" not in str(refused.value)


async def test_more_calls_than_sessions_wait_their_turn(tmp_path):
    pem = certificate(tmp_path)
    with endpoint(pem, 500) as server:
        async with shell(port=server.server_address[1], authorities=str(pem), sessions=2) as host:
            ends = await asyncio.gather(*(host.run(ECHO, {}) for _ in range(7)), return_exceptions=True)
        assert {type(end) for end in ends} == {HostUnreachable}


async def test_refused_credentials_are_not_tried_until_the_account_is_locked_out(tmp_path):
    pem = certificate(tmp_path)
    with endpoint(pem, 401) as server:
        async with shell(port=server.server_address[1], authorities=str(pem), sessions=1) as host:
            with pytest.raises(CredentialsRefused):
                await host.run(ECHO, {})
            asked = server.asked
            for _ in range(5):
                with pytest.raises(CredentialsRefused, match="the credentials are refused.*; tried again in 60 s"):
                    await host.run(ECHO, {})
            assert server.asked == asked


def test_credentials_that_cannot_do_are_refused_at_once():
    with pytest.raises(Invalid, match="WEFT_HYPERV_PASSWORD"):
        PsrpShell(Endpoint("host1"), Credentials())


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pypsrp", None)
    with pytest.raises(Invalid, match=r"pip install 'weft\[hyperv\]'"):
        PsrpShell(Endpoint("host1"), WEFT)


class Record(SimpleNamespace):
    """What pypsrp makes of PowerShell's error record."""

    def __str__(self):
        return self.words


def test_what_a_cmdlet_says_is_one_line_with_its_name_and_place():
    record = Record(
        words="Hyper-V was unable to find\r\n a machine", activity="Get-VM", invocation_script_line_number=5
    )
    assert str(script_failure("host1", ECHO, [record])) == (
        "host1: Get-VM: Hyper-V was unable to find a machine (script echo, line 5)"
    )


def test_what_our_own_script_throws_names_the_cmdlet_itself():
    failure = script_failure("host1", ECHO, [Record(words="Set-VMNetworkAdapter: it has another one: 5")])
    assert (failure.cmdlet, failure.message, failure.line) == ("Set-VMNetworkAdapter", "it has another one: 5", 0)
    assert script_failure("host1", ECHO, [Record(words="no-one: said so", activity="Get-VM")]).cmdlet == "Get-VM"
    in_function = Record(words="Start-VM: it is Off", activity="Confirm-Adapter")
    assert script_failure("host1", ECHO, [in_function]).cmdlet == "Start-VM"
    assert script_failure("host1", ECHO, []).message == "PowerShell says that it failed and not why"
