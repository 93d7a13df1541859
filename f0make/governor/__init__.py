"""Budgets: what may start now, what must pause, and what everything cost. Imported only where one was asked for."""
