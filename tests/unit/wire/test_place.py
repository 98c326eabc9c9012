"""What names a controller, and what does not."""

import pytest

from weft.model.errors import Invalid
from weft.wire.client import Client
from weft.wire.place import check_controller


@pytest.mark.parametrize(
    "url",
    [
        *("http://127.0.0.1:8470", "https://weft.example.org", "https://[fd00::1]:8470", "unix:/run/weft.sock"),
        *("http://host:", "http://host:0/below", "unix:weft.sock"),
    ],
)
def test_these_are_controllers(url: str) -> None:
    check_controller(url)
    Client.connect(url)


@pytest.mark.parametrize(
    "url",
    [
        *("", "foo", "foo:1", "127.0.0.1:8470", "ftp://host", "http:", "http://", "http:host", "http:///path", "unix:"),
        *("http://:80", "http://host:65536", "http://host:-1", "http://host:http", "http://[::1", "http://[zz]:1"),
        *("http://a host", "http://host\n:1", "http://999.1.1.1:1", "http://1.1.1:1"),
    ],
)
def test_these_are_none_and_it_says_what_would_be(url: str) -> None:
    with pytest.raises(Invalid, match="write http://HOST:PORT"):
        check_controller(url)
