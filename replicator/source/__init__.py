"""The captured database: our schema in it, its connector in Connect, and the checks of both."""
