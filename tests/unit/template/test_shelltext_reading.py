"""Reading shell text: ordinary commands take values, and what the value is cannot change how the rest is read."""

from __future__ import annotations

import pytest

from f0make.template.render_text import TemplateError
from f0make.template.run_text import Command
from f0make.template.shelltext.dialect import dialect_of

ORDINARY = r"""
bwa mem -t ${{ resources.cpu }} -R '@RG\tID:${{ x }}\tSM:${{ x }}' ref.fa ${{ inputs }} | samtools sort -@ ${{ resources.cpu }} -o ${{ outputs }} -

grep -c "${{ x }}" ${{ inputs }} > ${{ outputs }} || true

awk -v s="${{ x }}" -F '\t' '$1 == s { print $2 }' ${{ inputs }} > ${{ outputs }}

awk 'NR == 1' "${{ inputs[0] }}" > "${{ outputs[0] }}"

python3 scripts/plot.py --name "${{ x }}" ${{ inputs }} -c ${{ x }} -o ${{ outputs }}

python3 -m pkg.tool -c ${{ x }} --n=${{ x }}

Rscript plot.R ${{ x }} -e ${{ x }}

for f in ${{ inputs }}; do echo "$f"; done > ${{ outputs }}

while read -r line; do echo "$line ${{ x }}"; done < ${{ inputs[0] }} > ${{ outputs[0] }}

tar -czf ${{ outputs }} -C ${{ x }} .

find ${{ x }} -name '*.txt' -exec cp {} ${{ outputs[0] }} \;

find ${{ x }} -type f | xargs -I{} cp {} ${{ outputs }}

ssh ${{ x }} uptime

scp ${{ inputs }} host:/tmp/

rsync -av ${{ inputs }} ${{ x }}:/data/

docker run --rm -v "$PWD":/w img tool -e ${{ x }} ${{ inputs }}

jq --arg n "${{ x }}" '.[$n]' ${{ inputs }} > ${{ outputs }}

sed 's/a/b/' ${{ inputs }} > ${{ outputs }}

sed -i -e 's/a/b/' -- ${{ outputs }}

x=${{ x }}; y="${{ x }}"; export Z=${{ x }}; echo "${y%.txt}" "$x"

test -s ${{ inputs[0] }} && [ "${{ x }}" = en ] || exit 1

if [[ "${{ x }}" == *a* && -f ${{ inputs[0] }} ]]; then echo yes; fi

case ${{ x }} in en|de) echo ok;; *) exit 1;; esac

make -C ${{ x }} -j ${{ resources.cpu }} CC=${{ x }}

cmake -S . -B build -DNAME=${{ x }}

gcc -c ${{ inputs }} -o ${{ outputs }} -DX="${{ x }}"

${{ x }} --version > ${{ outputs }} 2>&1

${{ x }}/bin/tool -e ${{ x }} -c ${{ x }}

"${{ x }}" -c 4

parallel -j ${{ resources.cpu }} gzip -k ::: ${{ inputs }}

seq ${{ x }} | head -n ${{ x }}

head -c ${{ x }} /dev/zero > ${{ outputs }}

printf '%s\n' ${{ inputs }} | sort -u

cat <<EOF > ${{ outputs }}
title: ${{ x }}
  - ${{ inputs }}
EOF

diff <(sort ${{ inputs[0] }}) <(sort ${{ inputs[1] }})

mkdir -p "$(dirname "${{ outputs[0] }}")" && cp ${{ inputs }} "$_"

timeout 5 curl -fsS "https://x/${{ x }}?a=b" -o ${{ outputs }}

git clone --branch ${{ x }} "https://${{ x }}" d

psql -h ${{ x }} -f q.sql -v name="${{ x }}"

sqlite3 ${{ outputs }} < ${{ inputs }}

sqlite3 ${{ outputs }} '.import x y'

bash script.sh ${{ x }} "${{ x }}"

bash -euo pipefail -c 'cp "$1" "$2"' _ ${{ inputs }} ${{ outputs }}

sh -c 'exec "$@"' sh ${{ inputs }}

env NAME=${{ x }} ./tool

nice -n 10 ./tool -c ${{ x }}

(cd ${{ x }} && ls) > ${{ outputs }}

{ echo a; echo ${{ x }}; } >> ${{ outputs }}

f() { echo "$1"; }; f ${{ x }}

echo "a" | tee ${{ outputs }}

echo ${{ inputs }} ${{ x }}

local_var="${HOME}/${{ x }}"

export PATH="$PWD/${{ x }}:$PATH"

set -- ${{ inputs }}; shift

trap 'rm -f tmp' EXIT; echo ${{ x }}

eval "$(conda shell.bash hook)"; conda run -n env tool ${{ x }}

source activate.sh && tool ${{ x }}

module load gcc/${{ x }}

n=$(wc -l < ${{ inputs[0] }}); echo $((n + 1)) > ${{ outputs }}

tool <(zcat ${{ inputs }}) 2> >(tee ${{ outputs }}.log)

read -r a b < ${{ inputs[0] }}

arr=(${{ inputs }}); echo "${#arr[@]}" "${arr[@]:1}"

perl -lane 'print $F[0]' ${{ inputs }}

perl -i.bak -pe 's/a/b/' ${{ outputs }}

node build.js --name=${{ x }}

gnuplot -e "n=${{ n | int }}" plot.gp

srun -n ${{ resources.cpu }} ./sim ${{ x }}

singularity exec ${{ x }}.sif tool ${{ inputs }}

time -p ./x ${{ x }}

! grep -q ${{ x }} ${{ inputs }}

declare -A m; m[a]=${{ x }}

echo done # all good

echo 'it'"'"'s' ${{ x }}

cp ${{ inputs }} ${{ outputs }} # copy

tool --range=${{ x }}..${{ x }} {a,b}.txt

echo $((1 + 2)) ${{ x }} "${x:-y}" ${x//a/b}

split -l 1 ${{ inputs }} parts/

f ( ) { echo; }; f ${{ x }}

if ! [ -e ${{ x }} ]; then :; elif [ -d "${{ x }}" ]; then :; else echo ${{ x }}; fi

until test -e ${{ x }}; do sleep 1; done

cat ${{ inputs }} |
  sort |
  uniq -c > ${{ outputs }}
"""


@pytest.mark.parametrize("shell", [None, "bash", "zsh -e", "ksh"])
def test_values_may_stand_in_ordinary_commands(shell: str | None) -> None:
    for text in ORDINARY.strip().split("\n\n"):
        Command(text).read(shell)


@pytest.mark.parametrize(
    ("text", "value", "rendered"),
    [
        ("cp ${{ v }} x", "a b", "cp 'a b' x"),
        ("cp ${{ v }} x", "a", "cp a x"),
        ('echo "${{ v }}"', "a", 'echo "a"'),
        ('echo "a ${{ v }}"', "$x", 'echo "a "\'$x\'""'),
        ("echo 'a ${{ v }}'", "it's", "echo 'a it'\\''s'"),
        ("echo ${{ v }}>o", "2", "echo '2'>o"),
        ("echo $x${{ v }}", "y", "echo $x'y'"),
        ("echo ${{ v | quote }}", "a b", "echo 'a b'"),
        ('echo "${{ v | quote }}"', "$x", 'echo ""\'$x\'""'),
        ("x=${{ v | quote }}", ["a", "b"], "x='a b'"),
        ("echo ${{ v | quote }}>o", "2", "echo '2'>o"),
        ("echo ${{ v | raw }}", "$x", "echo $x"),
        ("cat <<E\n- ${{ v }}\nE", "$x`\\", "cat <<E\n- \\$x\\`\\\\\nE"),
        ("echo `echo ${{ v }}`", "a`b", "echo `echo 'a\\`b'`"),
        ("echo $((1 - ${{ v }}))", -3, None),
        ("#!/bin/sh\nx=${{ v | quote }}", ["a", "b"], "#!/bin/sh\nx='a b'"),
        ("${{ v }}", "if", "'if'"),
        ("${{ v }} x", "a=b", "'a=b' x"),
        ("# ${{ '${{' }}", "", "# ${{"),
    ],
)
def test_how_a_value_is_written(text: str, value: object, rendered: str | None) -> None:
    if rendered is None:
        with pytest.raises(TemplateError, match="arithmetic"):
            Command(text).render({"v": value})
        return
    assert Command(text).render({"v": value}) == rendered


def test_a_script_begins_in_the_recipe() -> None:
    with pytest.raises(TemplateError, match="#!"):
        Command("${{ h | raw }}\necho ${{ v }}").render({"h": "#!/usr/bin/python3", "v": "x"})


def test_no_command_holds_a_nul() -> None:
    for text in ("cp ${{ v }} x", 'echo "${{ v }}"', "#!/bin/sh\necho ${{ v }}", "cat <<E\n-${{ v }}\nE"):
        with pytest.raises(TemplateError, match="NUL"):
            Command(text).render({"v": "a\0b"})


@pytest.mark.parametrize(
    ("shell", "name"),
    [
        ("/usr/local/bin/bash -euo pipefail -O extglob", "bash"),
        ("env -i X=1 zsh", "zsh"),
        ("dash -e", "sh"),
        ("bash --norc --rcfile x -l", "bash"),
        ("ksh93", "ksh"),
        ("python3 -u", None),
        ("bash wrapper.sh", None),
        ("fish", None),
        ("zsh -i", None),
    ],
)
def test_which_shell_it_is(shell: str, name: str | None) -> None:
    dialect = dialect_of(shell.split())
    assert (dialect.name if dialect else None) == name
