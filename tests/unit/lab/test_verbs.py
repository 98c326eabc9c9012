"""Words of `weft lab`, as far as they need no lab."""

import signal

import pytest
from typer.testing import CliRunner

from weft.lab.state import LabState
from weft.lab.verbs import app, not_usual, pinged


@pytest.mark.parametrize("words", ["--name x url", "url --name x", "url --name=x", "delay-feed 1 --name x"])
def test_the_labs_name_may_stand_before_its_verb_or_behind_it(tmp_path, monkeypatch, words):
    monkeypatch.setenv("WEFT_LAB_DIR", str(tmp_path))
    said = CliRunner().invoke(app, words.split())
    assert (said.exit_code, "No lab 'x' is up" in said.stderr) == (1, True), said.output


@pytest.mark.root
@pytest.mark.parametrize(
    ("words", "name"),
    [("exec --name x vm -- ip --name y", "x"), ("exec vm ip --name x", "weft"), ("host h1 -- ip --name=x", "weft")],
)
def test_words_of_another_command_stay_its_own(tmp_path, monkeypatch, words, name):
    monkeypatch.setenv("WEFT_LAB_DIR", str(tmp_path))
    said = CliRunner().invoke(app, words.split())
    assert (said.exit_code, f"No lab '{name}' is up" in said.stderr) == (1, True), said.output


def test_an_option_without_its_value_is_named():
    said = CliRunner().invoke(app, ["up", "f.yaml", "--name"])
    assert (said.exit_code, "--name" in said.stderr) == (2, True)


@pytest.mark.parametrize(
    ("name", "url", "own", "told"),
    [
        ("weft", "http://127.0.0.1:8470", True, False),
        ("weft", "http://127.0.0.1:18787", True, True),
        ("guide", "http://127.0.0.1:18787", True, False),
        ("weft", "https://weft.example:8470", False, False),
    ],
)
def test_a_lab_whose_controller_is_not_where_commands_look_says_so(name, url, own, told):
    assert not_usual(LabState(name=name, boot="b", url=url, controller_own=own)) is told


CAME = 'for n in $(seq {}); do echo "64 bytes from 10.1.1.12: icmp_seq=$n ttl=64 time=1 ms"; done'
PING = """
trap 'echo "1 packets transmitted, 0 received"; exit 1' INT
kill -INT $PPID
{then}
"""


@pytest.mark.parametrize(
    ("words", "ended"),
    [
        (PING.format(then="for n in $(seq 600); do sleep 0.05; done"), (1, 0, 130)),
        ('echo "1 packets transmitted, 0 received"', (1, 0, 1)),
        (f'trap "" INT; {CAME.format(1)}; echo "1 packets transmitted, 1 received"; kill -INT $PPID', (1, 1, 0)),
    ],
    ids=["interrupted", "lost", "all came"],
)
def test_a_ping_that_is_interrupted_once_all_were_sent_says_so(terminal, words, ended):
    assert pinged(["sh", "-c", words], 1) == ended


def test_a_ping_whose_starter_ignores_ctrl_c_goes_on(terminal):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    goes_on = PING.format(then=f'{CAME.format(8)}; echo "9 packets transmitted, 8 received"')
    assert pinged(["sh", "-c", goes_on], 9) == (9, 8, 1)
