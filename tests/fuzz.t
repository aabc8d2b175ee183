#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# fuzz.t: every input that fuzzing has kept, in fuzz/corpus/TARGET/, is read once more,
# with the sanitizers on. A target without inputs fails, and so does one that runs fewer
# than it has.

# shellcheck source-path=SCRIPTDIR source=points.sh
. "$(dirname "$0")/points.sh"

for target in rules cmdline facts aliases status mounts sysfs; do
	# one file can be given as such; of a folder the fuzzer would choose
	set -- tests/fuzz/corpus/"$target"/*
	[ -e "$1" ] && "build/fuzz/$target" -close_fd_mask=3 -timeout=60 "$@" >"$scratch/err" 2>&1 &&
		[ "$(grep -c '^Executed ' "$scratch/err")" = $# ]
	ok "$target: nothing breaks on $# inputs"
done
end
