"""One partition's records into segments: a state machine that tells effects, and what it goes by. Pure;
time comes in.
"""
