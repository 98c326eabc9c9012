"""Two ends of a TCP connection in which only one speaks: python talk.py says|hears ADDRESS. Run in two machines."""

import itertools
import socket
import sys
import time

PORT = 7007


def says(address: str) -> None:
    """Lines with numbers, ten a second, to whoever calls."""
    with socket.create_server((address, PORT)) as door:
        print("ready", flush=True)
        caller, (whose, _) = door.accept()
        print(whose, flush=True)
        for number in itertools.count(1):
            caller.sendall(b"%d\n" % number)
            time.sleep(0.1)


def hears(address: str) -> None:
    """Prints each number with the seconds since the one before."""
    with socket.create_connection((address, PORT)) as caller, caller.makefile() as lines:
        before = time.monotonic()
        for line in lines:
            now = time.monotonic()
            print(line.strip(), now - before, flush=True)
            before = now


if __name__ == "__main__":
    {"says": says, "hears": hears}[sys.argv[1]](sys.argv[2])
