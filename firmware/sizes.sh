#!/usr/bin/env bash
# Prints what the runtime takes of a Cortex-M4's flash beside the model: by the models that a program can open, and by part.
# Fails where it is more than it was. Needs size and nm (binutils), and Rust's target.
set -euo pipefail
cd "$(dirname "$0")"
target=thumbv7em-none-eabihf
program=target/$target/release/smallest
model=../models/shakespeare-lstm/model.whit

# Models, features beside that of the built-in one, most bytes of code, and with tables and texts. Of the last, the file is read
# when the program runs.
programs='
LSTMs||27400|29900
LSTMs, Llamas|transformer|39800|42300
the same, words|transformer,words|42600|48600
any model|every-model|58900|64900
LSTMs, Llamas from outside|transformer,from-outside|51300|56200
'

build() { # The smallest program, with features
    WHIT_MODEL=$PWD/$model cargo build --quiet --release -p whit-emulated --target $target --bin smallest --features "$1"
}

bytes() { # Of a section
    size -A $program | awk -v section="$1" '$1 == section { print $2 }'
}

parts() { # Code by what it belongs to; a function that was inlined counts where it was, one of several names once
    nm -S -C -t d $program | awk '
        $3 !~ /[tT]/ || NF < 4 || seen[$1]++ { next }
        { part = "core, compiler, board" }
        /whit::(model|proven|format|layout|arena|session::Session::new)/ { part = "files, memory" }
        /whit::(session|state|transformer|attention|cache|recurrent|parallel)/ && !/Session::(new|sample)/ { part = "forward pass" }
        /whit::(kernels|ops|quant|math|activations|tensor)|core::ops::function/ { part = "products, operations" }
        /whit::(tokenizer|generate|sampler)|Session::(sample|feed_text)|smallest::/ { part = "text: tokenizer, sampler" }
        { sum[part] += $2 }
        END { for (part in sum) printf "| %s | %d |\n", part, sum[part] }' | sort
}

echo '| a program that opens | code | tables, texts | together |'
echo '|---|---:|---:|---:|'
while IFS='|' read -r models features most_code most; do
    [ -n "$models" ] || continue
    build "$features"
    code=$(bytes .text) tables=$(($(bytes .rodata) - $(wc -c <$model)))
    echo "| $models | $code | $tables | $((code + tables)) |"
    [ "$code" -le "$most_code" ] && [ $((code + tables)) -le "$most" ] ||
        { echo "more than $most_code, or $most together" && exit 1; }
    [ "$features" != transformer ] || parts >target/parts
done <<<"$programs"
printf '\n| of LSTMs and Llamas, code | bytes |\n|---|---:|\n'
cat target/parts
