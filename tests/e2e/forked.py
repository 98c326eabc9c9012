"""Runs `weft` many times while Python starts once: a process that has read all of it forks for each command.

Of a short command nearly all the time goes into importing. Each command is a process of its own with its own arguments,
environment, output and exit code, as a user's is; tests/unit/test_main.py has those that start from nothing.
"""

import atexit
import functools
import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback

LONGEST_REQUEST = 1 << 17
READ_BEFOREHAND = ("weft.cli", "weft.lab", "weft.wire")
_one_at_a_time = threading.Lock()


def run(words, environment, timeout):
    """As subprocess.run of `weft WORDS` with captured text. Raises TimeoutExpired, the command being dead."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, _one_at_a_time:
        line = _server()
        asked = json.dumps([list(words), environment, os.getcwd()]).encode()
        socket.send_fds(line, [asked], [out.fileno(), err.fileno()])
        pid = int(line.recv(100))
        line.settimeout(timeout)
        try:
            code = int(line.recv(100))
        except TimeoutError:
            line.settimeout(None)
            os.kill(pid, signal.SIGKILL)
            line.recv(100)
            raise subprocess.TimeoutExpired(["weft", *words], timeout) from None
        line.settimeout(None)
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(["weft", *words], code, out.read().decode(), err.read().decode())


@functools.cache
def _server():
    """Our end of the line to it; it ends when we do."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with its:
        child = subprocess.Popen([sys.executable, "-P", __file__, str(its.fileno())], pass_fds=[its.fileno()])
    child.returncode = 0  # nobody waits for it: no ResourceWarning when this value goes
    atexit.register(ours.close)
    return ours


def _serve(line):
    for package in map(importlib.import_module, READ_BEFOREHAND):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    gc.freeze()
    while True:
        message, files, _, _ = socket.recv_fds(line, LONGEST_REQUEST, 2)
        if not message:
            return
        if (pid := os.fork()) == 0:
            line.close()
            _become(*json.loads(message), *files)
        for file in files:
            os.close(file)
        line.send(str(pid).encode())
        line.send(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())


def _become(words, environment, folder, out, err):
    """The command; does not return."""
    from weft.__main__ import main

    code = 1
    try:
        for file, as_file in ((os.open(os.devnull, os.O_RDONLY), 0), (out, 1), (err, 2)):
            os.dup2(file, as_file)
            os.close(file)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        sys.argv = ["weft", *words]
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as given:
        _serve(given)
