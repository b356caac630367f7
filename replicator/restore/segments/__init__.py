"""What destinations hold, brought here and read: the chains of their names, who gives a segment, its bytes
checked, the records as columns.
"""
