# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# For the tests of other builds: what the shipped binary is tested for, they are.

# shellcheck source-path=SCRIPTDIR source=points.sh
. "$(dirname "$0")/points.sh"

said() { grep -Ev '^ok +[0-9]|^1\.\.' "$scratch/log"; }

# check NAME TEST
check() {
	TEST_LOG="$scratch/log" tests/run "$2" >"$scratch/out" 2>&1
	result=$?
	count=$(grep -c '^ok [0-9]' "$scratch/log")
	[ "$result" = 0 ]
	ok "$1: $count tests of $2"
}

# check_build NAME FOLDER
check_build() {
	PRECLAIM_CLI=$2/preclaim PRECLAIM_BINARIES=$2/preclaim PRECLAIM_SHOWS=$2/show-protect
	# import is a script, of no build
	PRECLAIM_KINDS=parse,plan,show
	export PRECLAIM_CLI PRECLAIM_BINARIES PRECLAIM_SHOWS PRECLAIM_KINDS
	check "$1" tests/cli.t
	check "$1" tests/golden.t
	check "$1" tests/protect.t
}

# needs_nothing NAME PROGRAM
needs_nothing() {
	readelf -lW "$2" >"$scratch/log" && ! grep -q INTERP "$scratch/log"
	ok "$1: the binary needs no dynamic loader"
}
