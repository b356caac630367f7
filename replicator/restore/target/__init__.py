"""The PostgreSQL that a restore fills: looked at before, marked, built, loaded, finished, and trimmed to
the chosen part.
"""
