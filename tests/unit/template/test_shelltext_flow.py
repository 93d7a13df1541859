"""Values that reach a program by a detour (a variable, a pipe, a name that `find` gives) and are evaluated there."""

from __future__ import annotations

import pytest

from f0make.template.render_text import TemplateError
from f0make.template.run_text import Command
from f0make.template.template_values import Row, path_for_command

HOSTILE = "a'b\"[$(touch PWNED)] `touch PWNED`\nx"


def rendered(text: str, value: object, shell: str = "bash") -> str:
    return Command(text).run_by(shell, {"v": value})


@pytest.mark.parametrize(
    "text",
    [
        "x=${{ v }}; echo $((x + 1))",
        "x=${{ v }}; echo $(($x))",
        "x='a ${{ v }}'; if (( x > 3 )); then echo; fi",
        "export x=${{ v }}\nlet y=x+1",
        "x=${{ v }}; [[ $x -gt 3 ]]",
        "x=${{ v }}; a[$x]=1",
        "x=${{ v }}; echo ${a[x]} ${b:x}",
        "for x in 1 ${{ v }}; do echo $((x)); done",
        "echo $(( $(echo ${{ v }}) ))",
        "x=${{ v }}; echo ${!x}",
        'c="ls ${{ v }}"; eval "$c"',
        'c="ls ${{ v }}"; bash -c "$c"',
        'c=("ls ${{ v }}"); ssh host "${c[0]}"',
        'c="ls ${{ v }}"; bash <<< "$c"',
        'c="ls ${{ v }}"; bash <<E\n$c\nE',
        'c="ls ${{ v }}"; echo "$c" | sh',
        'x="${{ v }}"; awk "{print \\"$x\\"}" f',
        'echo "ls ${{ v }}" | cat | bash',
        "echo ls ${{ v }} | sed s/a/b/ | tee t | sudo sh",
        "cat <<E | sed s/a/b/ | sh\nls ${{ v }}\nE",
        "echo ls ${{ v }} | ssh -T host 'bash -s'",
        "echo gzip ${{ v }} | parallel -j4",
        "echo ${{ v }} | xargs -I{} sh -c 'echo {}'",
        "printf '%s\\n' ${{ v }} | xargs -I % bash -c 'echo %'",
        "echo ${{ v }} | xargs sh -c",
        "find ${{ v }} -exec sh -c 'echo {}' \\;",
        "echo \"insert into t values('${{ v }}')\" | sqlite3 db",
        "sqlite3 -csv db <<E\nselect '${{ v }}';\nE",
        "duckdb db <<< \"select '${{ v }}'\"",
        "bash <(echo ls ${{ v }})",
        "source <(echo ls ${{ v }})",
        ". /dev/stdin <<E\nls ${{ v }}\nE",
        'awk -f <(echo "BEGIN { print \\"${{ v }}\\" }")',
        "make VAR=${{ v }}",
        "make -j4 ${{ v }}",
        "BASH_ENV=${{ v }} bash x.sh",
        "git -c alias.x=!${{ v }} x",
        "kubectl exec pod -- sh -c 'ls ${{ v }}'",
    ],
)
def test_what_is_evaluated_after_a_detour_is_refused(text: str) -> None:
    with pytest.raises(TemplateError) as error:
        rendered(text, HOSTILE)
    assert error.value.hint
    assert HOSTILE in rendered(text.replace("v }}", "v | raw }}"), HOSTILE)


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("N=${{ v }}; echo $((N + 1))", "3", "N=3; echo $((N + 1))"),
        ("N=${{ v }}; for i in $(seq $N); do echo $i; done", "a b", None),
        ('f=${{ v }}; n=$(( $(wc -l < "$f") / 4 ))', "a b", None),
        ("f=$(basename ${{ v }}); echo $((f))", "a b", None),
        ("declare -A m; k=${{ v }}; echo ${m[$k]}", "a b", None),
        ('a=("${{ v }}" b); for i in "${!a[@]}"; do echo "${a[$i]}"; done', "a b", None),
        ("s=${{ v }}; awk -v s=\"$s\" '$1 == s' f", "a b", None),
        ('s=${{ v }}; sh -c \'echo "$1"\' _ "$s"', "a b", None),
        ('N=${{ v }}; sed -n "1,${N}p" f', "12", None),
        ("cat ${{ v }} | bash", "a b", "cat 'a b' | bash"),
        ("cat ${{ v }} | sqlite3 db", "a b", None),
        ("cat ${{ v }} | sed s/a/b/ | python3", "a b", None),
        ("echo ${{ v }} | xargs -I{} sh -c 'echo \"$1\"' _ {}", "a b", None),
        ("find ${{ v }} -exec sh -c 'echo \"$1\"' _ {} \\;", "a b", None),
        ("find ${{ v }} -exec cp {} out/ \\;", "a b", None),
        ("touch ${{ v }}.{1..3}.txt", "a b", "touch 'a b'.{1..3}.txt"),
        ("cp ${{ v }}/x.{bam,bai} o", "a{b,c}", "cp 'a{b,c}'/x.{bam,bai} o"),
        ("python x.py <(echo ${{ v }})", "a b", None),
        ("make -C ${{ v }} all", "a b", None),
        ("make CFLAGS=${{ v }}", "-O2 -g", "make CFLAGS='-O2 -g'"),
        ("git -c user.name=x checkout ${{ v }}", "a b", None),
    ],
)
def test_what_only_looks_like_it_is_not(text: str, value: str, expected: str | None) -> None:
    done = rendered(text, value)
    assert expected is None or done == expected


def test_a_row_of_a_table_is_the_number_that_it_reads_as() -> None:
    row = Row(n="7", of="x")
    assert rendered("echo $(( ${{ v | int }} + ${{ v | int + 1 }} ))", row) == "echo $(( 7 + 8 ))"
    assert rendered("echo $(( ${{ v | int }} ))", ["5"]) == "echo $(( 5 ))"
    with pytest.raises(TemplateError, match="no number"):
        rendered("echo $(( ${{ v | int }} ))", ["5", "6"])


@pytest.mark.parametrize("shell", ["bash", "sh", "zsh", "ksh"])
def test_a_value_that_begins_the_text_is_no_option_of_the_shell(shell: str) -> None:
    assert rendered("${{ v }}x a", "--x", shell) == "'--x'x a"
    assert rendered("true; ${{ v }}", "-x", shell) == "true; '-x'"
    assert rendered("${{ v }} a", "+x", shell) == "'+x' a"
    assert rendered("${{ v }} -h", "./tool-1", shell) == "./tool-1 -h"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("v.split('/')[-1]", "./-y.txt"),
        ("v.rpartition('/')[2]", "./-y.txt"),
        ("v[4:]", "./-y.txt"),
        ("v | basename", "./-y.txt"),
        ("v.removeprefix('sub/')", "./-y.txt"),
        ("v.split('/')", "sub ./-y.txt"),
        ("v.split('.')[-1]", "txt"),
        ("v", "sub/-y.txt"),
    ],
)
def test_a_part_of_a_path_is_no_option(expression: str, expected: str) -> None:
    assert rendered(f"P ${{{{ {expression} }}}}", path_for_command("sub/-y.txt")) == f"P {expected}"
