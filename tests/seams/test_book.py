"""The independent book sees what it is there to see."""

from datetime import timedelta

from seams.fleets import NOON
from seams.joined import Book

HOUR = timedelta(hours=1)


def book(running=(), resting=()) -> Book:
    return Book(4, 2 * HOUR, HOUR, list(running), list(resting))


def test_a_stop_within_the_minimum_run_is_seen():
    assert book([NOON - HOUR], [NOON - 9 * HOUR] * 3).become(0, NOON) == [
        "stopped at 22 12:00 after 1:00:00, minimum run 2:00:00"
    ]
    assert book([NOON - 2 * HOUR], [NOON - 9 * HOUR] * 3).become(0, NOON) == []


def test_a_start_within_the_minimum_rest_is_seen_only_where_no_rested_block_was_left():
    half = timedelta(minutes=30)
    assert book([NOON - 9 * HOUR] * 3, [NOON - half]).become(4, NOON) == [
        "started at 22 12:00 after 0:30:00, minimum rest 1:00:00"
    ]
    assert book([NOON - 9 * HOUR] * 2, [NOON - 3 * HOUR, NOON - half]).become(3, NOON) == []


def test_the_longest_running_stop_first():
    held = book([NOON - 9 * HOUR, NOON - HOUR], [NOON - 9 * HOUR] * 2)
    assert held.become(1, NOON) == []
    assert held.running == [NOON - HOUR]
