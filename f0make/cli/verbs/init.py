"""`f0make init`: a small working recipe in an empty directory."""

from __future__ import annotations

import os
import sys
from typing import Any

from f0make.errors import F0makeError, UsageError
from f0make.options import RunOptions

RECIPE = """\
# Count the words of each text, then gather the counts. Try:
#   f0make run recipe.yaml          builds everything
#   f0make run recipe.yaml          does nothing: all is current
#   f0make plan recipe.yaml         says what a run would do, and why
description: Word counts of a few texts

steps:
  - name: count
    description: Count the words of one text
    foreach:
      text:
        glob: texts/${{ text }}.txt
    inputs: texts/${{ text }}.txt
    outputs: counts/${{ text }}.txt
    run: wc -w < ${{ inputs }} > ${{ outputs }}

  - name: total
    description: Add the counts up
    inputs: ${{ steps.count.outputs }}
    outputs: total.txt
    run: cat ${{ inputs }} | awk '{ n += $1 } END { print n }' > ${{ outputs }}
"""

FILES = {
    "recipe.yaml": RECIPE,
    "texts/moby.txt": "Call me Ishmael.\n",
    "texts/emma.txt": "Emma Woodhouse, handsome, clever, and rich.\n",
}


def main(name: str, options: RunOptions, extras: dict[str, Any]) -> int:
    """Write the files. Raises UsageError when the directory holds anything that is not hidden."""
    if any(not entry.startswith(".") for entry in os.listdir(".")):
        raise UsageError("init: this directory is not empty (go to an empty one, or choose one with -C DIR)")
    try:
        for path, text in FILES.items():
            os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
            with open(path, "x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise F0makeError(f"init: {error.filename}: {error.strerror}") from None
    print(f"f0make: wrote {', '.join(FILES)}; next: f0make run recipe.yaml", file=sys.stderr)
    return 0
