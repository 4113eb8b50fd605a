"""Work on several threads: order, errors, and that nobody waits for what nobody wants."""

import os
import signal
import threading
import time

import pytest
from elman._side_by_side import on_threads


def test_results_come_in_order():
    counted = []
    results = on_threads(lambda i, is_over: 2 * i, range(50), 3, lambda: counted.append(1))
    assert results == list(range(0, 100, 2))
    assert len(counted) == 50


def until_it_is_over(is_over, ended):
    while not is_over():
        time.sleep(0.001)
    ended.set()


def test_an_error_ends_the_others():
    ended, begun = threading.Event(), []

    def work(i, is_over):
        begun.append(i)
        if i == 0:
            raise ZeroDivisionError
        until_it_is_over(is_over, ended)

    with pytest.raises(ZeroDivisionError):
        on_threads(work, range(100), 2)
    assert ended.wait(10)
    assert len(begun) < 100


@pytest.mark.skipif(os.name == "nt", reason="os.kill ends the process there")
def test_ctrl_c_ends_all():
    ended = threading.Event()
    threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        on_threads(lambda i, is_over: until_it_is_over(is_over, ended), range(9), 2)
    assert ended.wait(10)
