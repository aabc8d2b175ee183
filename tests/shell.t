#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every shell script of the project: shellcheck finds nothing, and dash can parse it.

cd "$(dirname "$0")/.." || exit
n=0
for script in $(tests/files | while read -r file; do
	head -n 2 "$file" | grep -qE '^#!/bin/sh|shellcheck shell=sh' && echo "$file"
done); do
	n=$((n + 1))
	if shellcheck -x -P SCRIPTDIR "$script" && dash -n "$script"; then
		echo "ok $n - $script is clean"
	else
		echo "not ok $n - $script is clean"
	fi
done 2>&1 | sed '/^\(not \)\{0,1\}ok /!s/^/# /' >build/shell.tap
cat build/shell.tap
echo "1..$(grep -cE '^(not )?ok ' build/shell.tap)"
