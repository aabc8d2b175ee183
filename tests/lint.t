#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lint.t: gcc's analyzer and cppcheck find nothing in src/; tidy.t asks clang-tidy.
# gcc's look for leaks is off: it loses sight of what is kept in an array that has grown.
# LeakSanitizer looks for them in every unit and golden test.

# shellcheck source-path=SCRIPTDIR source=points.sh
. "$(dirname "$0")/points.sh"

flags='-std=gnu11 -D_GNU_SOURCE -DVERSION=__FILE__'

# point NAME COMMAND...: it succeeds without a word
point() {
	name=$1
	shift
	"$@" >"$scratch/err" 2>&1 && [ ! -s "$scratch/err" ]
	ok "$name"
}

# shellcheck disable=SC2086 # a list of words
for file in src/*.c; do
	point "gcc -fanalyzer finds nothing in $file" gcc $flags -O1 -fanalyzer -Wno-analyzer-malloc-leak -Werror -c -o /dev/null "$file"
done
# shellcheck disable=SC2086
point "cppcheck finds nothing" cppcheck --quiet --error-exitcode=1 --enable=warning,performance,portability \
	--suppress=missingIncludeSystem --std=c11 -D_GNU_SOURCE -DVERSION=__FILE__ src/
end
