"""What the process stands on: its threads, its word on its health, and the points where tests kill it."""
