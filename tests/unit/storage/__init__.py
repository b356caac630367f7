"""What of storage is pure."""
