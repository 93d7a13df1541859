"""What holds for everything that Hypothesis or a random source can think of."""
