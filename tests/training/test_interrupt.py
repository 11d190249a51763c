"""Ctrl-C waits for the step under way, once."""

from __future__ import annotations

import signal
import threading

import pytest

from apps.training.interrupt import interrupt_between_steps


def test_first_is_noted_and_second_ends_at_once() -> None:
    with interrupt_between_steps() as interrupted:
        assert not interrupted()
        signal.raise_signal(signal.SIGINT)
        assert interrupted()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_handler_is_restored_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), interrupt_between_steps():
        _ = 1 / 0
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_a_process_that_ignores_the_signal_goes_on_ignoring_it() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupt_between_steps() as interrupted:
            signal.raise_signal(signal.SIGINT)
            assert not interrupted()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_threads_leave_signals_alone() -> None:
    seen = []

    def train() -> None:
        with interrupt_between_steps() as interrupted:
            seen.append((interrupted(), signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert seen == [(False, signal.default_int_handler)]
