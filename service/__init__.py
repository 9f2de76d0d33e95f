"""Keeps plans fresh and hands them out: HTTP, clock, storage and the outside world."""
