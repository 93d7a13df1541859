"""Deciding what must run, and why: facts in, decisions with reasons out."""
