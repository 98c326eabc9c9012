"""Runs a daemon and collects the processes that it leaves behind: python reaper.py COMMAND WORD ...

libvirtd detaches its machines, so that they outlive it; when one ends, init has to collect it, and libvirtd waits until
that is done. An init that looks only now and then makes each stop of a machine last seconds. Ends with the daemon, and
the daemon with it. Run as a script, without the package.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
"""prctl(2)."""


def main(command: list[str]) -> int:
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    daemon = os.fork()
    if daemon == 0:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        os.execvp(command[0], command)
    while True:
        pid, status = os.wait()
        if pid == daemon:
            return os.waitstatus_to_exitcode(status) & 0xFF


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
