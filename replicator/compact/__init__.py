"""Compaction: a destination's chains folded into a base, proven before it is trusted."""
