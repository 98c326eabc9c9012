"""What the demo runs inside a guest: a machine that says its name, one that asks, one that lies about its addresses.

Run as a script without the package: python guest_script.py VERB, with VERB one of serve NAME LOG, ask NAME ADDRESS ...,
spoof INTERFACE FRAME COUNT.
"""

import socket
import sys
import time

PORT = 7007
ANSWER_SECONDS = 1.0


def serve(name: str, log: str) -> None:
    """Answer every question with this machine's name; note who asked."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener, open(log, "a", buffering=1) as asked:
        listener.bind(("", PORT))
        while True:
            question, asker = listener.recvfrom(200)
            asked.write(question.decode("utf-8", "replace") + "\n")
            listener.sendto(name.encode(), asker)


def ask(name: str, address: str) -> str:
    """Who has this address? Empty if nobody answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(ANSWER_SECONDS)
        try:
            asker.sendto(name.encode(), (address, PORT))
            return asker.recv(200).decode("utf-8", "replace")
        except OSError:
            return ""


def spoof(interface: str, frame: bytes, count: int) -> None:
    """Send a frame as it is, whatever addresses it claims."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:  # type: ignore[attr-defined,unused-ignore]
        wire.bind((interface, 0))
        for _ in range(count):
            wire.send(frame)
            time.sleep(0.01)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", name, log]:
            serve(name, log)
        case ["ask", name, *addresses]:
            for address in addresses:
                print(address, ask(name, address) or "-")
        case ["spoof", interface, frame, count]:
            spoof(interface, bytes.fromhex(frame), int(count))
        case _:
            sys.exit(2)
