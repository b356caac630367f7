"""What breaks in a night, broken on purpose."""
