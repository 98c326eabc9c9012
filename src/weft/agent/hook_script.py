"""The hook that libvirt runs before a machine starts: it asks this host's agent whether it may. Pure text.

A file of its own in libvirt's folder, run by libvirt's daemon as root, with nothing but Python's own library: a start
must not wait for imports. libvirt's page "Hooks for specific system management" says what it is called with: the
machine's name, the operation, the step, and the machine's XML as standard input; an exit code other than 0 at `prepare
begin` or `migrate begin` refuses.
"""

MARK = "# Made by weft agent install: asks this host's agent whether a machine may start."

_SCRIPT = """#!{python} -I
{mark}
# Another run writes it anew; weft agent uninstall removes it.
import json
import socket
import sys
import xml.etree.ElementTree

SOCKET = {socket!r}
SECONDS = 6.0
ASKED = (("prepare", "begin"), ("migrate", "begin"))
MACHINE = "{{urn:weft:machine}}machine"


def question(name, operation, domain):
    own = (domain.findtext("uuid") or "").strip()
    macs = []
    for mac in domain.iterfind("devices/interface/mac"):
        macs.append(int(mac.get("address", "0").replace(":", ""), 16))
    mark = domain.find("metadata/" + MACHINE)
    ours = mark is not None and mark.get("uuid", "").lower() == own.lower()
    machine = mark.get("name", "") if ours else ""
    return {{"id": own, "name": name, "machine": machine, "macs": macs, "comes": operation == "migrate"}}


def refusal(asked):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(SECONDS)
        line.connect(SOCKET)
        line.sendall(json.dumps(asked).encode() + b"\\n")
        with line.makefile("rb") as answer:
            return json.loads(answer.readline())["refusal"]


def main():
    name, operation, step = (sys.argv[1:] + ["", "", ""])[:3]
    if (operation, step) not in ASKED:
        return 0
    try:
        asked = question(name, operation, xml.etree.ElementTree.fromstring(sys.stdin.read()))
        words = refusal(asked)
    except Exception as error:
        # without its agent a host must be able to start its machines
        print("weft: the agent does not answer, " + name + " starts unchecked: " + str(error), file=sys.stderr)
        return 0
    if words:
        print("weft: " + name + " may not start: " + words, file=sys.stderr)
        return 1
    return 0


sys.exit(main())
"""


def script(python: str, socket: str) -> str:
    """For this interpreter, asking on this socket."""
    return _SCRIPT.format(python=python, mark=MARK, socket=socket)


def is_ours(text: str) -> bool:
    """Whether a hook is one of these, of any release."""
    return MARK in text.splitlines()[:2]
