"""Templates: `${{ … }}` in the scalars of a step; see docs/recipes.md, "Templates"."""
