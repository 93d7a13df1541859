"""Steps on other machines: what travels there, how it runs there, and how results come back."""
