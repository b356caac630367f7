"""A wedding planner's database, its traffic, and the demonstration that carries it into a bucket and back."""
