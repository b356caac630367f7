"""One suite for every store, the fake included."""
