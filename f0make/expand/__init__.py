"""Steps -> instances: foreach, tables, globs, pattern steps; `expansion.expand` is the way in."""
