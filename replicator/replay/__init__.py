"""Closing what dead letters keep open: ranges read again or copied, records stored after mending."""
