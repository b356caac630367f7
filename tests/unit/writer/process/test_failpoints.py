from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from replicator.errors import ConfigError
from replicator.writer.process import failpoints


def run(code: str, failpoint: str) -> int:
    return subprocess.run(
        [sys.executable, "-c", f"from replicator.writer.process import failpoints as f\nf.arm()\n{code}"],
        env={**os.environ, failpoints.VARIABLE: failpoint},
        check=False,
        timeout=60,
    ).returncode


def test_the_process_is_killed_at_the_named_place_and_no_other() -> None:
    assert run("f.reach('fed'); f.reach('sealed')", "sealed") == -signal.SIGKILL
    assert run("f.reach('fed'); f.reach('consumed')", "sealed") == 0


def test_it_is_killed_there_the_nth_time() -> None:
    assert run("f.reach('fed'); f.reach('fed')", "fed:3") == 0
    assert run("for _ in range(3): f.reach('fed')", "fed:3") == -signal.SIGKILL


def test_put_half_kills_while_half_of_the_body_is_on_its_way() -> None:
    code = (
        "import socket\n"
        "one, two = socket.socketpair()\n"
        "f.reach_while_sending(1000)\n"
        "one.sendall(b'x' * 400)\n"
        "one.sendall(b'x' * 600)\n"
    )
    assert run(code, "put_half") == -signal.SIGKILL


@pytest.mark.parametrize("text", ["nowhere", "fed:0", "fed:x"])
def test_a_place_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="the names are consumed"):
        failpoints.arm(text)
