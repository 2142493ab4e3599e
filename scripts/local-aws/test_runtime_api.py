"""What runtime_api adds: an invocation is not held back by Nagle's algorithm."""
import statistics
import time


def test_a_warm_invocation_takes_less_than_the_delay_of_an_acknowledgement(api):
    api.event("GET", "/movies")
    milliseconds = []
    for _ in range(20):
        started = time.monotonic()
        api.event("GET", "/movies")
        milliseconds.append((time.monotonic() - started) * 1000)
    assert statistics.median(milliseconds) < 40
