#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# valgrind.t: the shipped binary under memcheck, where sanitizers cannot be: every golden
# case of what users are shown, every tenth of the others, and all that cli.t does. In a
# static program memcheck sees what is read before it is set on the stack and in registers,
# and every access outside of what is mapped; but it knows no malloc() there, so heap blocks
# without limits, and no leaks: the sanitizers' builds are for those.

cd "$(dirname "$0")/.." || exit
here=build/valgrind
rm -rf $here
mkdir -p $here/logs
chmod 1777 $here/logs
# one log a process: those of children are nobody's exit status
cat >$here/preclaim <<END
#!/bin/sh
exec valgrind -q --error-exitcode=99 --log-file=$PWD/$here/logs/%p '$PWD/build/preclaim' "\$@"
END
chmod 755 $here/preclaim
n=0

# point SENTENCE COMMAND...
point() {
	n=$((n + 1))
	name=$1
	shift
	if "$@" >$here/said 2>&1; then
		echo "ok $n - $name"
	else
		echo "not ok $n - $name"
		grep -v '^ok ' $here/said | head -n 100 | sed 's/^/# /'
	fi
}
ran() { [ "$(find $here/logs -type f | wc -l)" -ge 150 ]; }
silent() { ! grep -r . $here/logs; }

# shellcheck disable=SC2046 # names without blanks
point 'golden cases come out as ever' env PRECLAIM_BINARIES=$here/preclaim tests/golden.t tests/golden/show/* \
	$(printf '%s\n' tests/golden/parse/* tests/golden/plan/* | awk 'NR % 10 == 1')
point 'so do runs that apply rules' env PRECLAIM_CLI=$here/preclaim tests/cli.t
point 'each process was looked at' ran
point 'nothing was found in any' silent
echo "1..$n"
