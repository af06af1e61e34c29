#!/bin/bash
# gcc compiles and links in the guest, and what it made computes right: doubles, long doubles (the x87), integers,
# threads, signals. The answers are those of IEEE 754 and of the C standard, so they hold at every optimisation level.
. "$(dirname "$0")/lib.sh"
for flags in "-O0" "-O2" "-O1 -mfpmath=387 -static"; do
    # shellcheck disable=SC2086 # the words of $flags are options
    expect_ok "gcc $flags compiles" gcc -std=gnu11 -frounding-math -Wall -Werror -Wno-maybe-uninitialized $flags -o compiled \
        "$programs/numbers.c" -lm -pthread
    expect_output "run $flags" numbers.expected ./compiled
done

# The stages on their own: preprocessor, assembler, archive, shared library.
cat > part.c <<'END'
int triple(int n) { return 3 * n; }
END
cat > whole.c <<'END'
#include <stdio.h>
int triple(int);
int main(void) { printf("%d\n", triple(14)); return triple(1); }
END
expect_ok "cc -S" gcc -O1 -S part.c
expect_ok "as" as -o part.o part.s
expect_ok "ar" ar rc libpart.a part.o
expect_ok "ld" gcc -o whole whole.c -L. -lpart
expect "a static library" "42 3" "$(./whole | xargs) $(./whole >/dev/null; echo $?)"
expect_ok "cc -shared" gcc -shared -fPIC -o libpart.so part.c
expect_ok "link it" gcc -o whole whole.c -L. -lpart -Wl,-rpath,"$PWD"
expect "a shared library" "42 3" "$(./whole | xargs) $(./whole >/dev/null; echo $?)"
expect "a syntax error is one" "1" "$(echo 'int main( {' | gcc -x c - -o never 2>/dev/null; echo $?)"
expect "nm, objdump" "T triple ret" "$(nm libpart.a | awk '/triple/ {print $2, $3}') $(objdump -d part.o | grep -o -w ret)"
finish
