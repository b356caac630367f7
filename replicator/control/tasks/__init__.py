"""What a leader does besides deciding: restore points published, standbys activated and completed, and
verification, upkeep and drills on a schedule.
"""
