"""Driving a plan: deciding each instance when what it needs is settled, running it, keeping what it made."""
