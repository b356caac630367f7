"""The partitions that the group gave to this member: where each goes on, what is committed of it, and how
it is given back.
"""
