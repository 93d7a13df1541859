"""The recipe of the storm, and what its outputs are for an input, computed without f0make."""

from __future__ import annotations

PROBE = 'mkdir "$STORM/first" 2> /dev/null && "$STORM_PYTHON" -S "$STORM/probe.py" || true'
"""What every step begins with: the first one of a run looks for processes of runs before it."""

PROBE_CODE = """\
import os

mine = os.environ["STORM_RUN"]
for entry in os.listdir("/proc"):
    try:
        with open(f"/proc/{entry}/environ", "rb") as file:
            environ = dict(e.split(b"=", 1) for e in file.read().split(b"\\0") if b"=" in e)
        with open(f"/proc/{entry}/cmdline", "rb") as file:
            command = file.read()
        with open(f"/proc/{entry}/stat") as file:
            state, parent = file.read().rpartition(")")[2].split()[:2]
    except (OSError, ValueError):
        continue
    run = os.fsdecode(environ.get(b"STORM_RUN", b""))
    storm, _, number = run.partition(":")
    # loky's trackers are no steps and write nothing.
    if storm == mine.partition(":")[0] and int(number) < int(mine.partition(":")[2]) and state not in "ZX":
        if b"resource_tracker" not in command:
            with open(os.environ["STORM"] + "/stale", "a") as file:
                file.write(f"{mine}: {entry} of run {run}, {state}, child of {parent}: {os.fsdecode(command)!r}\\n")
"""

CODE = """\
import os
import subprocess
import time


def write(ctx):
    os.system(os.environ["STORM_PROBE"])
    text = open("in.txt").read()
    with open("out/python", "w") as file:
        file.write("half")
    loop = "while true; do echo stale > out/python; sleep 0.002; done"
    stale = subprocess.Popen(["bash", "-c", loop], start_new_session=True)
    time.sleep(0.03)
    stale.kill()
    stale.wait()
    ctx.set("storm.text", text)
    with open("out/python", "w") as file:
        file.write("python " + text)


def read(ctx):
    os.system(os.environ["STORM_PROBE"])
    with open("out/context", "w") as file:
        file.write("half")
        time.sleep(0.01)
    with open("out/context", "w") as file:
        file.write("context " + ctx.get("storm.text"))
"""

RECIPE = f"""\
steps:
  - name: slow
    foreach:
      n:
        range: 1..8
    inputs: in.txt
    outputs: out/slow/${{{{ n }}}}
    run: |
      {PROBE}
      for i in 1 2 3 4; do echo ${{{{ n }}}} $i >> ${{{{ outputs }}}}; sleep 0.005; done
      cat in.txt >> ${{{{ outputs }}}}
  - name: child
    inputs: in.txt
    outputs: out/child
    run: |
      {PROBE}
      (while true; do echo stale > out/child; sleep 0.002; done) & pid=$!
      sleep 0.03
      kill $pid; wait $pid || true
      (echo child; cat in.txt) > out/child
  - name: daemon
    inputs: in.txt
    outputs: out/daemon
    run: |
      {PROBE}
      setsid bash -c 'trap "" TERM HUP INT; while true; do echo stale > out/daemon; sleep 0.002; done' & pid=$!
      sleep 0.03
      kill -9 $pid; wait $pid || true
      (echo daemon; cat in.txt) > out/daemon
  - name: python
    module: stormcode
    function: write
    inputs: in.txt
    outputs: out/python
  - name: context
    depends_on:
      - python
    module: stormcode
    function: read
    outputs: out/context
  - name: tree
    inputs: in.txt
    outputs: out/tree/
    run: |
      {PROBE}
      mkdir -p out/tree/sub
      for i in 1 2 3 4; do echo $i > out/tree/$i; cp in.txt out/tree/sub/$i; sleep 0.005; done
      ln -s sub/1 out/tree/link
  - name: dep
    inputs: dep.txt
    outputs: out/dep
    depfile: dep.d
    run: |
      {PROBE}
      cat dep.txt > out/dep
      echo 'out/dep: dep.txt \\' > dep.d
      sleep 0.01
      cat in.txt >> out/dep
      echo ' in.txt' >> dep.d
  - name: middle
    inputs: in.txt
    outputs:
      - path: out/middle
        temp: yes
    run: |
      {PROBE}
      cat in.txt in.txt > out/middle
  - name: use
    inputs: out/middle
    outputs: out/use
    run: |
      {PROBE}
      sleep 0.01
      cat out/middle > out/use
  - name: sum
    inputs: ${{{{ steps.slow.outputs }}}}
    outputs: out/sum
    run: |
      {PROBE}
      cat ${{{{ inputs }}}} > out/sum
  - name: constant
    inputs: out/sum
    outputs: out/constant
    run: |
      {PROBE}
      wc -l < out/sum | tr -d ' ' > out/constant
  - name: check
    inputs: out/tree/
    run: |
      {PROBE}
      diff out/tree/sub/1 in.txt
  - name: final
    inputs:
      - out/sum
      - out/constant
      - out/child
      - out/daemon
      - out/python
      - out/context
      - out/dep
      - out/use
      - out/tree/sub/4
    outputs: out/final
    run: |
      {PROBE}
      cat ${{{{ inputs }}}} > out/final
"""
TEMP = "middle"
"""The step whose output is removed when its consumer is done."""


def expected(text: str) -> dict[str, str]:
    """Every file below `out/` for `in.txt` holding ``text``; a symlink as its target after ``->``."""
    files = {f"slow/{n}": "".join(f"{n} {i}\n" for i in range(1, 5)) + text for n in range(1, 9)}
    files["sum"] = "".join(files[f"slow/{n}"] for n in range(1, 9))
    files["constant"] = f"{len(files['sum'].splitlines())}\n"
    files["child"], files["daemon"] = "child\n" + text, "daemon\n" + text
    files["python"], files["context"] = "python " + text, "context " + text
    files["dep"], files["use"] = "dep\n" + text, text + text
    for i in range(1, 5):
        files[f"tree/{i}"], files[f"tree/sub/{i}"] = f"{i}\n", text
    files["tree/link"] = "->sub/1"
    order = ("sum", "constant", "child", "daemon", "python", "context", "dep", "use", "tree/sub/4")
    files["final"] = "".join(files[name] for name in order)
    return files
