"""A process that is asked to end, once and twice; real signals to a real process."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from replicator import signals

CHILD = """
import sys
from replicator import signals
asked = signals.ending(*sys.argv[1:])
print("ready", flush=True)
asked.wait(60)
print("asked", flush=True)
sys.stdin.read()
"""


def child(*arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_second_signal_ends_at_once_and_says_what_it_means(number: signal.Signals) -> None:
    with child("the topic has all") as process:
        process.send_signal(number)
        assert process.stdout is not None
        assert process.stdout.readline() == "asked\n"
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert said == "second signal: ending at once; the topic has all\n"


def test_without_words_it_ends_in_its_own_time() -> None:
    with child() as process:
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        assert process.stdout.readline() == "asked\n"
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (0, "")


def test_a_thread_of_somebody_elses_process_takes_no_signals() -> None:
    before = signal.getsignal(signal.SIGTERM)
    found: list[threading.Event] = []
    thread = threading.Thread(target=lambda: found.append(signals.ending()))
    thread.start()
    thread.join()
    assert not found[0].is_set()
    assert signal.getsignal(signal.SIGTERM) is before
