"""Suites: unit (pure, seconds), contract (every store alike), stack (the real thing), faults (killing it)."""
