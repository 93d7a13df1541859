"""Everything that f0make does to a workspace: clearing, restoring, moving away, by directory descriptors."""
