# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What shell tests share; they source it first. They stand in the project's top folder then,
# have a scratch folder that goes with them, and tell their points in TAP. Their last line is
# `end`: a test that does not get there has no plan, and so has failed.
# shellcheck disable=SC2034 # its users use them

cd "$(dirname "$0")/.." || exit
top=$PWD
preclaim=$top/build/preclaim
# Below $place where that is set: hard links work only there.
scratch=$(mktemp -d "${place:-$(tests/tmpdir)}/preclaim.XXXXXX") || exit
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' INT TERM
points=0
failed=0

# What commands of the last point have said, for people to see where it has failed. A test
# that keeps it elsewhere has its own said().
said() { cat "$scratch/err"; }

# ok SENTENCE: a point, by the status of the command before it. $about, where that is set, is
# which of several systems it is about.
ok() {
	if [ $? = 0 ]; then
		good=
	else
		good='not '
		failed=$((failed + 1))
	fi
	points=$((points + 1))
	echo "${good}ok $points - ${about:+$about: }$1"
	[ -z "$good" ] || said 2>&1 | tail -n 50 | sed 's/^/# /'
}

end() {
	echo "1..$points"
	[ "$failed" = 0 ] && [ "$points" -gt 0 ]
}
