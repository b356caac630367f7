"""The clouds under contract: one stand-in each, behind one shape, with what it is known to do or not."""
