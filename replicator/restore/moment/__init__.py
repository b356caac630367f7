"""The moment that is asked for: the history of transactions, the cut in it and where that falls in each
partition, the base to begin with, what is promised of it, and the proof by counting.
"""
