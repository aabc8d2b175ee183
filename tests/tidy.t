#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# tidy.t: clang-tidy (see .clang-tidy), which follows every path through src/, finds nothing.

# shellcheck source-path=SCRIPTDIR source=points.sh
. "$(dirname "$0")/points.sh"

for file in src/*.c; do
	clang-tidy --quiet "$file" -- -std=gnu11 -D_GNU_SOURCE -DVERSION=__FILE__ >"$scratch/err" 2>/dev/null && [ ! -s "$scratch/err" ]
	ok "clang-tidy finds nothing in $file"
done
end
