"""People are told what control finds and decides, through apprise."""
