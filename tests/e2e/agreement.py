"""What `weft trace` says beside what a lab carries: the same questions to both."""

import json
import sys

import httpx

ASK = """
import json, socket, subprocess, sys
from concurrent.futures import ThreadPoolExecutor
def ask(question):
    to, protocol, port = question
    if protocol.startswith("icmp"):
        return not subprocess.run(["ping", "-nqc1", "-W1", to], stdout=subprocess.DEVNULL).returncode
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, kind) as one:
        one.settimeout(1)
        try:
            one.connect((to, port))
            if protocol == "udp":
                one.send(b"?")
                one.recv(1)
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
        return True
with ThreadPoolExecutor(64) as pool:
    print(json.dumps(list(pool.map(ask, json.loads(sys.argv[1])))))
"""
"""A guest refuses what arrives, since nothing listens: that is an answer too."""
AGAIN, MOST_LOST = 2, 10


class Traced:
    """The traces of one lab's controller. Use as a context."""

    def __init__(self, lab):
        self._lab = lab
        self._client = httpx.Client(base_url=json.loads(lab.file.read_text())["url"], timeout=30)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._client.close()

    def address_of(self, interface):
        found = self._client.get(f"/networking/v1/networkInterfaces/{interface}").raise_for_status().json()
        return found["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"]

    def ask(self, interface, to, protocol, port):
        body = {"from": {"resourceRef": f"/networkInterfaces/{interface}"}, "to": to, "protocol": protocol}
        body |= {"port": port} if port else {}
        return self._client.post("/weft/v1/trace", json=body).raise_for_status().json()

    def agree(self, machine, questions):
        """Each question is (address, protocol, port), of the machine's first interface. Returns what trace says. What
        leaves for the physical network is not compared: what is there is not Weft's."""
        # its kernel answers as many refusals as there are
        limits = ("net.ipv4.icmp_ratelimit=0", "net.ipv4.icmp_msgs_per_sec=100000", "net.ipv6.icmp.ratelimit=0")
        self._lab.run("exec", machine, "--", "sysctl", "-qw", *limits)
        told = [self.ask(f"{machine}-eth0", *question) for question in questions]
        carried = self._carried(machine, questions)
        for _ in range(AGAIN):
            # many at once overrun a queue of a busy machine: what is said to arrive is asked for again, alone
            lost = [at for at, found in enumerate(told) if found["delivered"] and not carried[at]]
            for at in lost[:MOST_LOST]:
                carried[at : at + 1] = self._carried(machine, questions[at : at + 1])
        wrong = [
            (machine, *question, arrived, found["reason"])
            for question, arrived, found in zip(questions, carried, told, strict=True)
            if arrived != found["delivered"] and "is not Weft's" not in found["reason"]
        ]
        assert not wrong, wrong[:5]
        return told

    def _carried(self, machine, questions):
        words = ("exec", machine, "--", sys.executable, "-c", ASK, json.dumps(questions))
        return json.loads(self._lab.run(*words, timeout=900).strip().splitlines()[-1])
