"""The control topic: events as values, the state that they fold into, who may write them, and how they are
written and read.
"""
