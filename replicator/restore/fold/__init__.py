"""Which records decide what a table holds at the cut: the newest of each key, or what is left of all
images. What is in them is read elsewhere.
"""
