"""Values in shell text and scripts, through the command: they arrive as they are, or `validate` refuses them."""

from __future__ import annotations

import shutil

import pytest

from tests.support.f0 import F0

HOSTILE = 'it\'s "q" $(touch PWNED) `touch PWNED` \\n $HOME ; touch PWNED # *'


def recipe(run: str, more: str = "", foreach: str = "") -> str:
    text = "\n".join(f"      {line}" for line in run.split("\n"))
    return (
        "steps:\n  - name: a\n    foreach:\n      v:\n        table: v.csv\n"
        f"{foreach}    outputs: o\n{more}    run: |\n{text}\n"
    )


def table(f0: F0, value: str) -> None:
    f0.write("v.csv", 'v\n"' + value.replace('"', '""') + '"\n')


def test_a_name_in_quotes_of_the_recipe_is_not_executed(f0: F0) -> None:
    f0.write("in/$(touch PWNED).txt", "1\n")
    f0.recipe(
        "steps:\n  - name: a\n    foreach:\n      f:\n        glob: in/${{ f }}\n    inputs: in/${{ f }}\n    outputs: o\n"
        '    run: |\n      echo "Processing ${{ f }} of ${{ inputs }}" > o\n'
    )
    f0.run()
    assert f0.read("o") == "Processing $(touch PWNED).txt of in/$(touch PWNED).txt\n" and not f0.exists(
        "PWNED"
    )


@pytest.mark.parametrize(
    "shell", ["", "sh", "/bin/dash -eu", "/usr/bin/env bash", "zsh", "ksh", "bash -O extglob"]
)
def test_values_arrive_whatever_stands_around_them(f0: F0, shell: str) -> None:
    if shell and shutil.which(shell.split()[-1] if "env" in shell else shell.split()[0]) is None:
        pytest.skip(f"no {shell}")
    table(f0, HOSTILE)
    f0.recipe(
        recipe(
            "printf '%s\\n' ${{ v }} \"${{ v }}\" '${{ v }}' @RG:${{ v }} > o\n"
            'awk -v s="x" \'BEGIN { print ARGV[1] }\' "${{ v }}" >> o\n'
            'x="$(printf %s "${{ v }}")"; echo "$x" | head -c 4 >> o; echo >> o\n'
            "cat >> o <<EOF\n: ${{ v }}\nEOF\n"
            "case '${{ v }}' in ${{ v }}) echo same >> o;; esac",
            f"    shell: {shell}\n" if shell else "",
        )
    )
    f0.run()
    said = f0.read("o").splitlines()
    assert said == [HOSTILE] * 3 + [f"@RG:{HOSTILE}", HOSTILE, HOSTILE[:4], f": {HOSTILE}", "same"]
    assert not f0.exists("PWNED")


REFUSED = {
    "arithmetic": "echo $((${{ v }} + 1))",
    "double parentheses": "((x = ${{ v }})) || true",
    "comment": "# ${{ v }}",
    "delimiter": "cat <<EOF\n${{ v }}\nEOF",
    "delimiter with tabs": "cat <<-EOF\n\t\t${{ v }}\n\tEOF",
    "subscript": "x[${{ v }}]=1",
    "index": 'echo "${x[${{ v }}]}"',
    "comparison": "[[ x -eq ${{ v }} ]]",
    "offset": "echo ${x:${{ v }}:1}",
    "backslash": "echo \\${{ v }}",
    "dollar": 'echo "$${{ v }}"',
    "name": "export ${{ v }}=1",
    "bash -c": "bash -c 'echo ${{ v }}'",
    "sh -ec": "sh -ec \"echo '${{ v }}'\"",
    "wrapped": 'timeout 5 env X=1 nice bash -c "echo ${{ v }}"',
    "xargs": 'echo x | xargs -I{} sh -c "echo {} ${{ v }}"',
    "find": 'find . -exec sh -c "echo ${{ v }}" \\;',
    "eval": 'eval "echo ${{ v }}"',
    "trap": 'trap "rm -f ${{ v }}" EXIT',
    "ssh": 'ssh -p 22 host "cd x && ls ${{ v }}"',
    "bash <<": "bash <<EOF\necho ${{ v }}\nEOF",
    "piped": 'echo "echo ${{ v }}" | sh',
    "piped document": "cat <<EOF | bash -s\necho ${{ v }}\nEOF",
    "here-string": 'bash <<< "echo ${{ v }}"',
    "awk": 'awk "/${{ v }}/ { print }" in',
    "sed": "sed -e 's/x/${{ v }}/' in",
    "perl": "perl -ne 'print if /${{ v }}/' in",
    "python": "python3 -c \"print('${{ v }}')\"",
    "jq": 'jq -r ".${{ v }}" in',
    "R": "Rscript -e 'print(\"${{ v }}\")'",
    "parallel": "parallel 'echo {} ${{ v }}' ::: 1 2",
    "watch": 'watch "ls ${{ v }}"',
    "su": 'su nobody -c "ls ${{ v }}"',
    "let": "let x=${{ v }}",
    "declare -i": "declare -i x=${{ v }}",
    "printf -v": "printf -v ${{ v }} x",
    "unset": "unset ${{ v }}",
    "test -v": "[ -v ${{ v }} ]",
    "range": "echo {1..${{ v }}}",
    "descriptor": "echo x >&${{ v }}",
    "default in quotes": 'echo "${x:-${{ v }}}"',
    "part of a name": "cat <<EOF\n$x${{ v }}.\nEOF",
    "open quote": "echo 'it ${{ v }}",
    "PS4": "PS4='${{ v }} '",
}


def check_refused(f0: F0, places: dict[str, str]) -> None:
    """Each of ``places`` is an error at the line of its value; with `| raw` none is."""
    text, wanted = "steps:\n", []
    for number, place in enumerate(places.values()):
        text += f"  - name: s{number}\n    foreach:\n      v:\n        - x\n    run: |\n"
        wanted.append(text.count("\n") + 1 + place[: place.index("${{ v }}")].count("\n"))
        text += "".join(f"      {line}\n" for line in place.split("\n"))
    f0.recipe(text)
    result = f0("validate", "recipe.yaml")
    said = {
        int(line.split(":")[1]): line
        for line in result.stderr.splitlines()
        if line.startswith("recipe.yaml:")
    }
    missing = [place for place, line in zip(places, wanted, strict=True) if line not in said]
    assert result.code == 2 and not missing and len(said) == len(places), result.stderr
    assert all("| raw" in line and "env:" in line for line in said.values())
    assert f0("run", "recipe.yaml").code == 2 and not f0.exists(".f0make/logs")
    f0.recipe(text.replace("${{ v }}", "${{ v | raw }}"))
    assert f0("validate", "recipe.yaml").code == 0


def test_where_no_quoting_can_be_right_validate_says_so(f0: F0) -> None:
    check_refused(f0, REFUSED)


def test_a_number_may_stand_where_text_may_not(f0: F0) -> None:
    table(f0, "3")
    f0.recipe(
        recipe(
            "echo $((${{ v.v | int }} - ${{ v.v | int - 5 }})) > o\n"
            'awk "BEGIN { print ${{ v.v | int }} * 2 }" >> o\n'
            "x=(a b c d); echo ${x[${{ v.v | int }}]} {1..${{ v.v | int }}} >> o  # ${{ attempt }}\n"
            "bash -c 'echo ${{ v.v | int }}' >> o; echo $((${{ outputs | length }})) >> o"
        )
    )
    f0.run()
    assert f0.read("o").splitlines() == ["5", "6", "d 1 2 3", "3", "1"]


def test_a_value_that_would_end_a_here_document_is_refused(f0: F0) -> None:
    text = recipe("cat > o <<EOF\nsaid: ${{ v }}\nEOF")
    table(f0, "a\nEOF\ntouch PWNED")
    f0.recipe(text)
    result = f0("run", "recipe.yaml")
    assert result.code == 2 and "recipe.yaml:9:" in result.stderr and not f0.exists("PWNED")
    table(f0, "a\n EOF\nb")
    f0.run()
    assert f0.read("o") == "said: a\n EOF\nb\n"


def test_lists(f0: F0) -> None:
    f0.recipe(
        "config:\n  l:\n    - a b\n    - $c\n  none: x\n"
        "steps:\n  - name: a\n    outputs: o\n    run: |\n"
        "      printf '<%s>' ${{ config.l }} p${{ config.l }}s \"${{ config.l }}\" '${{ config.l }}' > o\n"
        "      x=${{ config.l }}; printf '<%s>' \"$x\" >> o\n"
        "      [[ 'a b $c' == ${{ config.l }} ]] && echo >> o; cat <<< ${{ config.l }} >> o\n"
        "      case ${{ config.l }} in 'a b $c') echo case >> o;; esac\n"
        '      for x in ${{ config.l }}; do echo "$x" >> o; done\n'
        "      printf '%s.' ${{ [] }} x${{ [] }} \"${{ [] }}\" >> o\n"
    )
    f0.run()
    assert f0.read("o") == ("<a b><$c><pa b><$cs><a b $c><a b $c><a b $c>\na b $c\ncase\na b\n$c\nx..")
    f0.recipe(
        "config:\n  l:\n    - a\n    - b\nsteps:\n  - name: a\n    outputs: o\n    run: echo x > o < ${{ config.l }}\n"
    )
    assert f0("validate", "recipe.yaml").code == 2


def test_what_stands_beside_a_value_does_not_change_it(f0: F0) -> None:
    f0.recipe(
        "config:\n  n: 2\n  name: abc\n  tool: echo\n  word: if\n  tilde: '~'\n"
        "steps:\n  - name: a\n    outputs: o\n    run: |\n"
        "      x=X\n"
        "      echo ${{ config.n }}>o\n"
        '      echo $x${{ config.name }} "$x${{ config.name }}" ${{ config.n }}${{ config.n }}>>o\n'
        "      ${{ config.tool }} ~${{ config.name }} ${{ config.tilde }} x=${{ config.tilde }}/y >> o\n"
        "      ${{ config.word }} 2>>o || true\n"
    )
    f0.run()
    said = f0.read("o").splitlines()
    assert said[:3] == ["2", "Xabc Xabc 22", "~abc ~ x=~/y"] and "if: command not found" in said[3]


def test_paths_are_no_options(f0: F0) -> None:
    f0.write("-n", "n\n")
    f0.write("d/-e", "e\n")
    f0.recipe(
        "steps:\n"
        "  - name: make\n    outputs: -out\n    run: echo made > ${{ outputs }}\n"
        "  - name: a\n    inputs:\n      first: -n\n      second:\n        - d/-e\n        - -out\n    outputs: o\n    env:\n      N: ${{ config.n }}\n    run: |\n"
        "      cat ${{ inputs }} \"${{ inputs.first }}\" '${{ inputs[0] }}' > o\n"
        '      echo ${{ inputs.second }} ${{ inputs[1] | basename }} ${{ inputs | raw }} "$N" ${{ config.n }} >> o\n'
        "      echo ${{ steps.make.outputs }} ${{ inputs.first ~ '.gz' }} ${{ inputs | map('basename') | join(' ') }} >> o\n"
        "config:\n  n: -x\n"
    )
    f0.run()
    assert f0.read("o").splitlines() == [
        "n", "e", "made", "n", "n", "d/-e ./-out ./-e ./-n d/-e ./-out -x -x", "./-out ./-n.gz ./-n ./-e ./-out",
    ]  # fmt: skip


SCRIPTS = {
    "python string": '#!/usr/bin/env python3\nopen("o", "w").write("${{ v }}")',
    "python triple": "#!/usr/bin/env -S python3 -u\nx = '''\n${{ v }}'''",
    "python comment": "#!/usr/bin/python3\n# ${{ v }}",
    "python f-string": "#!/usr/bin/env python3\nprint(f'{1} ${{ v }}')",
    "R": "#!/usr/bin/env Rscript\nx <- '${{ v }}'",
    "perl": '#!/usr/bin/perl\nprint "${{ v }}";',
    "awk": '#!/usr/bin/awk -f\nBEGIN { print "${{ v }}" }',
    "node": "#!/usr/bin/env node\nlet x = `${{ v }}`",
    "node comment": "#!/usr/bin/env node\n/* a\n${{ v }} */",
    "bash quotes": '#!/bin/bash\necho "${{ v }}" > o',
    "bash comment": "#!/bin/bash\n: # ${{ v }}",
    "sh document": "#!/bin/sh -e\ncat <<E\nx ${{ v }}\nE",
}


def test_a_value_inside_a_string_or_comment_of_a_script_is_refused(f0: F0) -> None:
    check_refused(f0, SCRIPTS)


def test_values_of_scripts(f0: F0) -> None:
    table(f0, HOSTILE)
    f0.recipe(
        recipe("#!/usr/bin/env python3\nopen('o', 'w').write(${{ v.v | tojson }} * ${{ 1 + 1 }})")
        + "  - name: b\n    outputs: p\n    env:\n      V: ${{ v }}\n    foreach:\n      v:\n        table: v.csv\n"
        "    run: |\n      #!/bin/sh\n      printf '%s|' ${{ v | quote }} \"$V\" ${{ ['a', 'b'] }} > ${{ outputs }}\n"
    )
    f0.run()
    assert f0.read("o") == HOSTILE * 2 and f0.read("p") == f"{HOSTILE}|{HOSTILE}|a|b|"


@pytest.mark.parametrize(
    "script",
    ["#!/usr/bin/env python3\nx = ${{ v }}", "#!/bin/sh\necho ${{ v }}", "#!/usr/bin/perl\n${{ v }};"],
)
def test_a_text_does_not_become_code_of_a_script(f0: F0, script: str) -> None:
    for value in ("__import__('os').system('touch PWNED')", "$(touch PWNED)", "x; touch PWNED"):
        table(f0, value)
        f0.recipe(recipe(script))
        assert f0("run", "recipe.yaml").code == 2 and not f0.exists("PWNED")
    table(f0, "12")
    assert f0("validate", "recipe.yaml").code == 0


def test_a_shell_that_is_none_gets_plain_values(f0: F0) -> None:
    table(f0, "x')+__import__('os').system('touch PWNED')#")
    f0.recipe(recipe("open('o', 'w').write(${{ v.v | tojson }})", "    shell: python3\n"))
    f0.run()
    assert "PWNED" in f0.read("o") and not f0.exists("PWNED")
    for text in ("open('o', 'w').write('${{ v }}')", "x = ${{ v }}"):
        f0.recipe(recipe(text, "    shell: python3\n"))
        assert f0("run", "recipe.yaml").code == 2 and not f0.exists("PWNED")


def test_the_shell_of_an_instance_may_depend_on_it(f0: F0) -> None:
    f0.recipe(
        "steps:\n  - name: a\n    foreach:\n      s:\n        - bash\n        - sh\n    shell: ${{ s }}\n    outputs: ${{ s }}.txt\n"
        "    run: |\n      echo \"$0 ${{ s }} ${{ 'a$b' if s else '' }}\" > ${{ outputs }}\n"
    )
    f0.run()
    assert f0.read("bash.txt") == "bash bash a$b\n" and f0.read("sh.txt") == "sh sh a$b\n"


def test_fingerprints_and_later_attempts_are_quoted_too(f0: F0) -> None:
    f0.recipe(
        f"config:\n  v: {HOSTILE.replace(' # *', '')}\n".replace(": it's", ": '")
        .replace("PWNED\n", "PWNED'\n")
        .replace("'\"q", '"q', 0)
        + 'steps:\n  - name: a\n    outputs: o\n    retries: 1\n    fingerprint: echo "${{ config.v }}" | cat\n    run: |\n'
        '      test ${{ attempt }} = 2\n      echo "${{ config.v }} $((${{ attempt }} + 1))" > o\n'
    )
    f0.run()
    assert "$(touch PWNED)" in f0.read("o") and f0.read("o").endswith(" 3\n") and not f0.exists("PWNED")
    f0.recipe(
        "config:\n  v: x\nsteps:\n  - name: a\n    fingerprint:\n      - 'true'\n      - bash -c \"${{ config.v }}\"\n    run: 'true'\n"
    )
    result = f0("validate", "recipe.yaml")
    assert result.code == 2 and "recipe.yaml:7:" in result.stderr
