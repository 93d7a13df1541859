"""A run in which little has changed: it loads, decides and writes down only what the changes can reach.

What is kept beside a snapshot (`save_snapshot`) is the expanded graph in a form that can be read instance by instance.
`open_partial` makes a `PartialWorkset` of it, and the same loop (`f0make.engine.run`) runs on it. Whatever
this way cannot vouch for goes the full way, which stays the authority.
"""
