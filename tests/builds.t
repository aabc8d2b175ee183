#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# builds.t: what the shipped binary is tested for, the other builds of it are: with musl,
# and for arm64, whose programs an emulator runs. test-qemu/cross has built those.

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

# emulated FOLDER: in $scratch, scripts that have the emulator run the programs of FOLDER.
# cli.t runs one as another user, too: all is in a folder that is open to all.
emulated() {
	chmod 755 "$scratch"
	for program in preclaim show-protect; do
		cp "$1/$program" "$scratch/$program.arm64"
		printf '#!/bin/sh\nexec qemu-aarch64-static "%s" "$@"\n' "$scratch/$program.arm64" >"$scratch/$program"
		chmod 755 "$scratch/$program"
	done
}

needs_nothing musl build/musl/preclaim
check_build musl build/musl
for libc in klibc musl; do
	needs_nothing "arm64, $libc" build/aarch64-linux-gnu-$libc/preclaim
	emulated build/aarch64-linux-gnu-$libc
	check_build "arm64, $libc" "$scratch"
done
end
