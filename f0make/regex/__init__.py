"""Regular expressions that others wrote, matched in bounded time."""
