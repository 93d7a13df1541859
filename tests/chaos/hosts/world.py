"""The recipe of the chaos, 60 instances, and what its outputs are for an input, computed without f0make."""

from __future__ import annotations

CODE = """\
import time

from chaoslib.words import heading


def write(n: int, out: str) -> None:
    with open(f"out/part/{n}") as file:
        text = file.read()
    with open(out, "w") as file:
        file.write("half")
        file.flush()
        time.sleep(0.02)
        file.seek(0)
        file.write(heading(n) + text)


def note(ctx) -> None:
    with open("out/join/1") as file:
        ctx.set("note", file.read(), who="note")


def tell(ctx) -> None:
    with open(ctx.step.outputs[0], "w") as file:
        file.write("told " + ctx.get("note"))
"""
WORDS = """\
def heading(n):
    return f"python {n}\\n"
"""
RECIPE = """\
steps:
  - name: part
    foreach:
      n:
        range: 1..24
    inputs: in.txt
    outputs: out/part/${{ n }}
    run: |
      for i in 1 2 3; do echo ${{ n }} $i >> ${{ outputs }}; sleep 0.02; done
      cat in.txt >> ${{ outputs }}
  - name: tree
    foreach:
      n:
        range: 1..12
    inputs: out/part/${{ n }}
    outputs: out/tree/${{ n }}/
    run: |
      mkdir -p ${{ outputs }}/sub/empty
      for i in 1 2 3; do cp ${{ inputs }} ${{ outputs }}/sub/$i; sleep 0.02; done
      ln -s sub/1 ${{ outputs }}/link
  - name: py
    foreach:
      n:
        range: 1..8
    module: chaoscode
    function: write
    args:
      n: ${{ n }}
      out: ${{ outputs }}
    inputs: out/part/${{ n }}
    outputs: out/py/${{ n }}
  - name: join
    foreach:
      n:
        range: 1..12
    inputs:
      - out/part/${{ n }}
      - out/part/${{ n | int + 12 }}
      - out/tree/${{ n }}/
    outputs: out/join/${{ n }}
    run: |
      (sleep 0.03; setsid sh -c 'trap "" TERM HUP; sleep 0.02; echo late > "$1"' sh ${{ outputs }}) &
      cat ${{ inputs[0] }} ${{ inputs[1] }} ${{ inputs[2] }}/link > ${{ outputs }}.aside
      wait; sleep 0.05; mv ${{ outputs }}.aside ${{ outputs }}
  - name: note
    inputs: out/join/1
    module: chaoscode
    function: note
  - name: tell
    depends_on: note
    module: chaoscode
    function: tell
    outputs: out/told
  - name: big
    inputs: in.txt
    outputs: out/big
    run: |
      for i in 1 2 3 4 5; do (yes "$(cat in.txt)" || true) | head -c 400000 >> out/big; sleep 0.03; done
  - name: sum
    inputs:
      - ${{ steps.join.outputs }}
      - ${{ steps.py.outputs }}
      - out/big
    outputs: out/sum
    run: cat ${{ inputs }} > out/sum
"""
SIZE = 60
FILES = {"recipe.yaml": RECIPE, "chaoscode.py": CODE, "chaoslib/words.py": WORDS}


def expected(text: str) -> dict[str, str]:
    """Every file below `out/` for `in.txt` holding ``text`` (one line); a symlink as its target after ``->``."""
    part = {n: "".join(f"{n} {i}\n" for i in (1, 2, 3)) + text for n in range(1, 25)}
    files = {f"part/{n}": value for n, value in part.items()}
    for n in range(1, 13):
        files |= {f"tree/{n}/sub/{i}": part[n] for i in (1, 2, 3)}
        files |= {f"tree/{n}/sub/empty": "/", f"tree/{n}/link": "->sub/1"}
        files[f"join/{n}"] = part[n] + part[n + 12] + part[n]
    for n in range(1, 9):
        files[f"py/{n}"] = f"python {n}\n" + part[n]
    files["told"] = "told " + files["join/1"]
    files["big"] = (text * (400_000 // len(text) + 1))[:400_000] * 5
    joined = [files[f"join/{n}"] for n in range(1, 13)] + [files[f"py/{n}"] for n in range(1, 9)]
    files["sum"] = "".join(joined) + files["big"]
    return files
