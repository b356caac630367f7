"""What the sink may hold in memory, and what it does to keep to that."""
