"""The schemas that records were written with: where they are asked for, and what is remembered of them."""
