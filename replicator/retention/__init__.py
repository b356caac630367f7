"""Retention: what no promise needs any longer is removed, and nothing else."""
