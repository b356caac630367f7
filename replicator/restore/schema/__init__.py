"""The schema as of a cut, told from the DDL log alone: which tables and columns there were, under which
names, and the statements that build them. Pure.
"""
