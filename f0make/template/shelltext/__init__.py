"""Reading shell text as the shell will, to quote each value for the place where it stands."""
