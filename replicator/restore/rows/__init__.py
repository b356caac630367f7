"""The deciding records of a table as rows: binary for COPY, text where binary can't, and Arrow; with what
was counted and what may not be believed.
"""
