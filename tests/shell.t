#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every shell script of the project: shellcheck finds nothing, and dash can parse it.

# shellcheck source-path=SCRIPTDIR source=points.sh
. "$(dirname "$0")/points.sh"

for script in $(tests/files | tr '\n' '\0' |
	xargs -0 awk 'FNR > 2 { nextfile } /^#!\/bin\/sh|shellcheck shell=sh/ { print FILENAME; nextfile }'); do
	shellcheck -x -P SCRIPTDIR "$script" >"$scratch/err" 2>&1 && dash -n "$script" 2>"$scratch/err"
	ok "$script is clean"
done
end
