"""What follows from what is known: health, promises kept, failover, alerts, what may be commanded. Pure;
time comes in.
"""
