"""A recipe's instances as a graph: expanding, connecting, what the words of a request stand for, and growing.

`recipe_graph` puts the parts together; `f0make.session` opens one for a run, a plan or a question.
"""
