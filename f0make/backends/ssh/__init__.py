"""Steps on other machines: what travels there, how it runs there, and how results come back."""

HERE = "local"
"""The name, and label, of this machine among hosts."""
