"""Random edits of small worlds, after each of which a run must leave what a run from scratch leaves, and do nothing needless.

``python -m tests.property.edits [COUNT [SEED]]`` makes so many edits. A world is a class with the methods of `base.World`; `WORLDS`
lists them, once for each part of the edits that they get.
"""

from .code import Code
from .links import Links
from .recipes import Recipes

WORLDS = (Links, Recipes, Links, Recipes, Links, Code, Links, Recipes)
