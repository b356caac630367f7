"""The suite of `restore --engine spark`: a Spark of its own, in this process or in the command's."""
