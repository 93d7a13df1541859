"""One page about the last run, for people. Imported only where one is asked for."""
