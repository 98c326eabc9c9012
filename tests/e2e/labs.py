"""Runs `weft` as a user does, on labs with names of their own; looks at the machine from outside afterwards."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
PATH = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"


def own(name):
    """A lab's name that no other run of the tests on this machine has."""
    return f"{name}{os.getpid()}"


class Lab:
    """One lab, by its name."""

    def __init__(self, name, folder):
        self.name = name
        self.folder = folder
        self.file = folder / name / "lab.json"
        self.environment = {**os.environ, "PATH": PATH, "WEFT_LAB_DIR": str(folder)}
        self._begun = []

    def command(self, *words):
        return [sys.executable, "-m", "weft", "lab", "--name", self.name, *words]

    def run(self, *words, timeout=90, code=0):
        """Its output; asserts the exit code."""
        done = subprocess.run(
            self.command(*words), capture_output=True, text=True, timeout=timeout, env=self.environment
        )
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def begin(self, *words):
        begun = subprocess.Popen(self.command(*words), stdout=subprocess.PIPE, text=True, env=self.environment)
        self._begun.append(begun)
        return begun

    def end(self):
        """Whatever happened in the test: nothing of it may be left."""
        for begun in self._begun:
            begun.kill()
            begun.communicate()
        subprocess.run(self.command("down"), capture_output=True, timeout=60, env=self.environment)
        left = namespaces(self.name), processes(str(self.folder / self.name))
        assert left == ([], []), left

    def weft(self, *words, timeout=60):
        """A command of the CLI, on this lab's controller."""
        environment = {**self.environment, "WEFT_CONTROLLER": json.loads(self.file.read_text())["url"]}
        done = subprocess.run(
            [sys.executable, "-m", "weft", *words], capture_output=True, text=True, timeout=timeout, env=environment
        )
        assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def mac_of(lab, interface):
    return json.loads(lab.weft("get", "networkInterfaces", interface, "-o", "json"))["properties"]["privateMacAddress"]


def namespaces(lab):
    found = subprocess.run(["ip", "netns"], capture_output=True, text=True, env={**os.environ, "PATH": PATH}).stdout
    return sorted(line.split()[0] for line in found.splitlines() if line.startswith(f"{lab}-"))


def processes(text):
    """PIDs of processes whose command line holds this text."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if text in line:
                found.append((int(entry.name), line))
    return found


def last_line(text):
    return text.strip().splitlines()[-1]


def ping(lab, machine, address, count=20, interval=0.02):
    return last_line(lab.run("ping", machine, address, "-c", str(count), "-i", str(interval)))
