#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# fuzz.t: every input that fuzzing has kept, in fuzz/corpus/TARGET/, is read once more,
# with the sanitizers on. A target without inputs fails, and so does one that runs fewer
# than it has.

cd "$(dirname "$0")/.." || exit
log=$(mktemp) || exit
trap 'rm -f "$log"' EXIT
n=0
for target in rules cmdline facts aliases status mounts sysfs; do
	n=$((n + 1))
	# one file can be given as such; of a folder the fuzzer would choose
	set -- tests/fuzz/corpus/"$target"/*
	if [ -e "$1" ] && "build/fuzz/$target" -close_fd_mask=3 -timeout=60 "$@" >"$log" 2>&1 &&
		[ "$(grep -c '^Executed ' "$log")" = $# ]; then
		echo "ok $n - $target: nothing breaks on $# inputs"
	else
		echo "not ok $n - $target: nothing breaks on $# inputs"
		tail -n 30 "$log" | sed 's/^/# /'
	fi
done
echo "1..$n"
