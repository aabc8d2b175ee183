#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every shell script of the project: shellcheck finds nothing, and dash can parse it.

# shellcheck source-path=SCRIPTDIR source=points.sh
. "$(dirname "$0")/points.sh"

for script in $(tests/files | while read -r file; do
	head -n 2 "$file" | grep -qE '^#!/bin/sh|shellcheck shell=sh' && echo "$file"
done); do
	shellcheck -x -P SCRIPTDIR "$script" >"$scratch/err" 2>&1 && dash -n "$script" 2>"$scratch/err"
	ok "$script is clean"
done
end
