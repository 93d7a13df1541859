"""Where the project lies that is tested."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
CORPUS = Path(__file__).with_name("bad_recipes")
"""One bad recipe a file, and what is said about each."""
