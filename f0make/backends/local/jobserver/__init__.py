"""GNU Make's jobserver: one pool of tokens for f0make's steps, the makes and ninjas inside them, and a make above."""
