"""A WinRM service of this machine: PowerShell Remoting (MS-PSRP) in SOAP over HTTPS, in front of the fake Hyper-V host.

So much of MS-WSMV and MS-PSRP as pypsrp asks for. It packs its messages with pypsrp itself: what is tested is how we
use that library, not the library.
"""

import base64
import contextlib
import ssl
import threading
import time
import uuid
import xml.etree.ElementTree as ET
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from pypsrp.complex_objects import PSInvocationState, RunspacePoolState
from pypsrp.messages import (
    ErrorRecordMessage,
    MessageType,
    PipelineState,
    RunspacePoolStateMessage,
    SessionCapability,
)
from pypsrp.powershell import Fragment, Fragmenter
from pypsrp.serializer import Serializer

from weft.fakes.hyperv.cmdlets.table import cmdlets_of
from weft.fakes.hyperv.powershell.conversion import as_text
from weft.fakes.hyperv.powershell.errors import PowerShellError
from weft.fakes.hyperv.powershell.run import run

SOAP = "http://www.w3.org/2003/05/soap-envelope"
WSA = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
WSMAN = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
WST = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
RSP = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
POWERSHELL = "http://schemas.microsoft.com/powershell"
MOST_BYTES = 100_000
HEAD = 40
"""Bytes before the XML of a message (MS-PSRP 2.2.1)."""


class Written(str):
    """An object of the pipeline (2.2.2.19)."""

    MESSAGE_TYPE = MessageType.PIPELINE_OUTPUT


class Shell:
    """What a client opened."""

    def __init__(self, pool):
        self.pool = pool
        serializer = Serializer()
        self.fragments = Fragmenter(MOST_BYTES, serializer)
        self.waiting = {"": []}
        """Messages that it has not fetched yet, by command."""
        self.taken = {}
        """What has come of a message so far, by command."""

    def put(self, command, *messages):
        for message in messages:
            self.waiting.setdefault(command, []).extend(self.fragments.fragment(message, self.pool, command or None))


class WinRm(ThreadingHTTPServer):
    """`host` runs the scripts. `held` set: a script goes on until it is stopped."""

    daemon_threads = True

    def __init__(self, host, pem):
        super().__init__(("127.0.0.1", 0), Requests)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.host = host
        self.shells = {}
        self.opened = 0
        self.at_once = 0
        """Most shells that there were together."""
        self.signals = []
        self.held = False
        self.drops = 0
        """So many scripts are begun yet, whose client is not told that they have: the line breaks."""
        self.lock = threading.Lock()

    @property
    def port(self):
        return self.server_address[1]

    def handle_error(self, request, address):
        """A client that does not trust us hangs up."""

    def forget_shells(self):
        """As a restart of the service does."""
        self.shells.clear()

    # what a client asks for, by the last word of the action

    def create(self, body):
        content = body.find(f".//{{{POWERSHELL}}}creationXml")
        shell = Shell(body.find(f"{{{RSP}}}Shell").attrib["ShellId"])
        assert base64.b64decode(content.text)
        shell.put("", SessionCapability("2.3", "2.0", "1.1.0.1"), RunspacePoolStateMessage(RunspacePoolState.OPENED))
        own = str(uuid.UUID(int=self.opened + 1)).upper()
        self.opened += 1
        self.shells[own] = shell
        self.at_once = max(self.at_once, len(self.shells))
        answer = ET.Element(f"{{{WST}}}ResourceCreated")
        place = ET.SubElement(answer, f"{{{WSA}}}ReferenceParameters")
        selectors = ET.SubElement(place, f"{{{WSMAN}}}SelectorSet")
        ET.SubElement(selectors, f"{{{WSMAN}}}Selector", Name="ShellId").text = own
        return answer

    def command(self, body, shell):
        line = body.find(f"{{{RSP}}}CommandLine")
        command = line.attrib["CommandId"]
        self.take(shell, command, line.find(f"{{{RSP}}}Arguments").text)
        answer = ET.Element(f"{{{RSP}}}CommandResponse")
        ET.SubElement(answer, f"{{{RSP}}}CommandId").text = command
        return answer

    def send(self, body, shell):
        stream = body.find(f"{{{RSP}}}Send/{{{RSP}}}Stream")
        self.take(shell, stream.attrib["CommandId"], stream.text)
        return ET.Element(f"{{{RSP}}}SendResponse")

    def take(self, shell, command, text):
        """A fragment of the message that makes a pipeline; with the last one it runs."""
        data = base64.b64decode(text)
        while data:
            fragment, data = Fragment.unpack(data)
            shell.taken[command] = shell.taken.get(command, b"") + fragment.data
            if fragment.end and not self.held:
                shell.put(command, *self.run_script(shell.taken.pop(command)[HEAD:]))

    def run_script(self, message):
        """`message` is a CREATE_PIPELINE (2.2.2.10): one command with its arguments."""
        root = ET.fromstring(message.decode())
        text = Serializer()._deserialize_string
        named = {name: [one for one in root.iter() if one.get("N") == name] for name in ("Cmd", "N", "V")}
        assert len(named["Cmd"]) == 1
        arguments = {
            text(name.text): text(value.text or "") for name, value in zip(named["N"], named["V"], strict=True)
        }
        try:
            outcome = run(text(named["Cmd"][0].text), arguments, cmdlets_of(self.host))
        except PowerShellError as error:
            return [PipelineState(PSInvocationState.FAILED, record_of(error))]
        written = [Written(as_text(one)) for one in outcome.output]
        return [*written, PipelineState(PSInvocationState.COMPLETED)]

    def receive(self, body, shell):
        wanted = body.find(f"{{{RSP}}}Receive/{{{RSP}}}DesiredStream")
        waiting = shell.waiting.get(wanted.attrib.get("CommandId", ""), [])
        answer = ET.Element(f"{{{RSP}}}ReceiveResponse")
        if not waiting:
            time.sleep(0.02)
        while waiting:
            stream = ET.SubElement(answer, f"{{{RSP}}}Stream", Name="stdout")
            stream.text = base64.b64encode(waiting.pop(0)).decode()
        return answer

    def signal(self, body, shell):
        self.signals.append(body.find(f"{{{RSP}}}Signal/{{{RSP}}}Code").text.rpartition("/")[2])
        return ET.Element(f"{{{RSP}}}SignalResponse")


def record_of(error):
    """As PowerShell sends it: with invocation information, or the stack's words alone, which it has in any case."""
    record = ErrorRecordMessage()
    for name, _ in record._extended_properties:
        setattr(record, name, None)
    record.fq_error, record.category, record.activity = error.id, 0, error.command
    record.reason = record.target_name = record.target_type = record.message = ""
    record.invocation = record.extended_info_present = False
    record.script_stacktrace = f"at <ScriptBlock>, <No file>: line {error.line}\r\nat <ScriptBlock>, <No file>: line 1"
    record._to_string = error.message
    return record


class Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        envelope = ET.fromstring(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            status, answer = self.answer(envelope)
        if self.server.drops and b"CommandResponse" in answer:
            self.server.drops -= 1
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Type", "application/soap+xml;charset=UTF-8")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def answer(self, envelope):
        action = envelope.find(f".//{{{WSA}}}Action").text.rpartition("/")[2].lower()
        body = envelope.find(f"{{{SOAP}}}Body")
        named = [one.text for one in envelope.iter() if one.tag.endswith("}Selector")]
        if action == "create":
            return 200, self.envelope(envelope, self.server.create(body))
        if named[0] not in self.server.shells:
            return 500, self.fault(envelope)
        if action == "delete":
            del self.server.shells[named[0]]
            return 200, self.envelope(envelope, None)
        return 200, self.envelope(envelope, getattr(self.server, action)(body, self.server.shells[named[0]]))

    def envelope(self, request, content):
        root = ET.Element(f"{{{SOAP}}}Envelope")
        header = ET.SubElement(root, f"{{{SOAP}}}Header")
        ET.SubElement(header, f"{{{WSA}}}RelatesTo").text = request.find(f".//{{{WSA}}}MessageID").text
        body = ET.SubElement(root, f"{{{SOAP}}}Body")
        if content is not None:
            body.append(content)
        return ET.tostring(root)

    def fault(self, request):
        namespace = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"
        fault = ET.Element(f"{{{SOAP}}}Fault")
        detail = ET.SubElement(fault, f"{{{SOAP}}}Detail")
        told = ET.SubElement(detail, f"{{{namespace}}}WSManFault", Code="2150858843", Machine="fake")
        ET.SubElement(told, f"{{{namespace}}}Message").text = "The shell was not found on the server."
        return self.envelope(request, fault)

    def log_message(self, *words):
        pass


@contextlib.contextmanager
def winrm(host, pem):
    """The service, while it runs."""
    server = WinRm(host, pem)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
