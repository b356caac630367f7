"""Restore points, health, failover: one leader decides, and the control topic is all that it remembers."""
