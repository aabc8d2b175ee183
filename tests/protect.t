#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# protect.t: what the PCI functions of a machine carry, by src/protect.c. Each case
# protect/SENTENCE.case is a manifest of what mktree adds to protect/machine, with
#
#	#> LINE    what show-protect prints, in any order (that of a directory)
#	#- PATH    what the machine lacks
#
# PRECLAIM_SHOWS names other builds of show-protect than the three.

set -u
LC_ALL=C
export LC_ALL
cd "$(dirname "$0")/.." || exit 1
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
tests=0
failed=0
programs=${PRECLAIM_SHOWS:-build/klibc/show-protect build/unit-gcc/show-protect build/unit-clang/show-protect}

for case in tests/protect/*.case; do
	name=$(basename "$case" .case | tr - ' ')
	rm -rf "$scratch/tree"
	tests/mktree tests/protect/machine "$scratch/tree" && tests/mktree "$case" "$scratch/tree" || exit 1
	sed -n 's/^#- //p' "$case" | while read -r path; do
		rm -r "${scratch:?}/tree/$path"
	done
	sed -n 's/^#> //p' "$case" | sort >"$scratch/want"
	for program in $programs; do
		tests=$((tests + 1))
		"$program" "$scratch/tree" >"$scratch/printed" 2>&1 || echo "exit $?" >>"$scratch/printed"
		sort "$scratch/printed" >"$scratch/have"
		if diff "$scratch/want" "$scratch/have" >"$scratch/diff"; then
			echo "ok $tests - protect: $name ($program)"
		else
			failed=$((failed + 1))
			sed 's/^/# /' "$scratch/diff"
			echo "not ok $tests - protect: $name ($program)"
		fi
	done
done
echo "1..$tests"
test $failed -eq 0
