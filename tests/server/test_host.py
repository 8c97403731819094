"""The listening socket."""

import pytest

from mambino.errors import InputError
from mambino.server.host import listen


def test_a_taken_port_is_refused_with_a_remedy() -> None:
    with listen("127.0.0.1", 0) as taken, pytest.raises(InputError, match="--port"):
        listen("127.0.0.1", taken.getsockname()[1])
