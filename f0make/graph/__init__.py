"""Who needs whom: the instance graph, its order, its cycles, and drawings of it."""
