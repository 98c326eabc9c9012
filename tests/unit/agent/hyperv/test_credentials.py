"""Who the agent is to a Hyper-V host, and that the secret is kept."""

import pytest

from weft.agent.hyperv.credentials import Credentials, check_credentials, read_credentials
from weft.model.errors import Invalid


def written(folder, text, mode=0o600):
    file = folder / "credentials"
    file.write_text(text)
    file.chmod(mode)
    return file


def test_the_environment_goes_before_the_file(tmp_path):
    file = written(tmp_path, "# of the lab\nuser=LAB\\weft\npassword=a=b $x\n")
    assert read_credentials({}, file) == Credentials("LAB\\weft", "a=b $x")
    assert read_credentials({"WEFT_HYPERV_USER": "other"}, file) == Credentials("other", "a=b $x")


def test_a_file_that_others_can_read_is_refused(tmp_path):
    with pytest.raises(Invalid, match="can be read by others than its owner: chmod 600"):
        read_credentials({}, written(tmp_path, "user=weft\n", 0o640))


@pytest.mark.parametrize("text", ["user\n", "pasword=x\n"])
def test_a_line_that_says_nothing_is_named(tmp_path, text):
    with pytest.raises(Invalid, match="line 1: write name=value"):
        read_credentials({}, written(tmp_path, text))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(Invalid, match="nothing cannot be read"):
        read_credentials({}, tmp_path / "nothing")


def test_the_password_is_not_printed():
    secret = Credentials("weft", "hush")
    assert "hush" not in f"{secret} {secret!r} {[secret]}"


@pytest.mark.parametrize(
    ("authentication", "credentials", "words"),
    [
        ("basic", Credentials("weft", "x"), "one of negotiate, kerberos, certificate"),
        ("negotiate", Credentials("weft"), "WEFT_HYPERV_PASSWORD"),
        ("certificate", Credentials(certificate="c.pem"), "two PEM files"),
    ],
)
def test_what_cannot_do_is_refused_before_anything_is_asked(authentication, credentials, words):
    with pytest.raises(Invalid, match=words):
        check_credentials(credentials, authentication)


def test_a_kerberos_ticket_needs_no_password():
    check_credentials(Credentials(), "kerberos")
