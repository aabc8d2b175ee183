#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lint.t: gcc's analyzer, cppcheck and clang-tidy (see .clang-tidy) find nothing in src/.
# gcc's look for leaks is off: it loses sight of what is kept in an array that has grown.
# LeakSanitizer looks for them in every unit and golden test.

cd "$(dirname "$0")/.." || exit
flags='-std=gnu11 -D_GNU_SOURCE -DVERSION=__FILE__'
n=0

# point NAME COMMAND...: it succeeds without a word on standard output.
point() {
	n=$((n + 1))
	name=$1
	shift
	if said=$("$@" 2>&1) && [ -z "$said" ]; then
		echo "ok $n - $name"
	else
		echo "not ok $n - $name"
		echo "$said" | sed 's/^/# /'
	fi
}

# shellcheck disable=SC2086 # a list of words
tidy() { clang-tidy --quiet "$@" -- $flags 2>/dev/null; }

# shellcheck disable=SC2086 # a list of words
for file in src/*.c; do
	point "gcc -fanalyzer finds nothing in $file" gcc $flags -O1 -fanalyzer -Wno-analyzer-malloc-leak -Werror -c -o /dev/null "$file"
done
# shellcheck disable=SC2086
point "cppcheck finds nothing" cppcheck --quiet --error-exitcode=1 --enable=warning,performance,portability \
	--suppress=missingIncludeSystem --std=c11 -D_GNU_SOURCE -DVERSION=__FILE__ src/
point "clang-tidy finds nothing" tidy src/*.c
echo "1..$n"
