#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# builds.t: what the shipped binary is tested for, the other builds of it are: with musl,
# and for arm64, whose programs an emulator runs. test-qemu/cross has built those.

cd "$(dirname "$0")/.." || exit
n=0
failed=0

# ok SENTENCE: by the status of the command before it
ok() {
	status=$?
	n=$((n + 1))
	if [ "$status" = 0 ]; then
		echo "ok $n - $1"
	else
		echo "not ok $n - $1"
		failed=$((failed + 1))
	fi
}

# check NAME TEST
check() {
	prove --merge --verbose --exec tests/exec "$2" >build/builds.log 2>&1 ||
		{ grep -Ev '^ok |^1\.\.' build/builds.log | sed 's/^/# /' && false; }
	ok "$1: $(grep -c '^ok ' build/builds.log) tests of $2"
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
	headers=$(readelf -lW "$2") && ! echo "$headers" | grep -q INTERP
	ok "$1: the binary needs no dynamic loader"
}

# emulated FOLDER: there, scripts that have the emulator run the programs of FOLDER
emulated() {
	mkdir -p "$1/emulated"
	for program in preclaim show-protect; do
		printf '#!/bin/sh\nexec qemu-aarch64-static "%s" "$@"\n' "$PWD/$1/$program" >"$1/emulated/$program"
		chmod 755 "$1/emulated/$program"
	done
}

needs_nothing musl build/musl/preclaim
check_build musl build/musl
for libc in klibc musl; do
	needs_nothing "arm64, $libc" build/aarch64-linux-gnu-$libc/preclaim
	emulated build/aarch64-linux-gnu-$libc
	check_build "arm64, $libc" build/aarch64-linux-gnu-$libc/emulated
done
echo 1..$n
test $failed -eq 0
