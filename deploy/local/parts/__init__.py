"""The parts of the stack, each in a module of its own, behind one small port."""
