#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# valgrind.t: the shipped binary under memcheck, where sanitizers cannot be: every golden
# case of what users are shown, every tenth of the others, and all that cli.t does. In a
# static program memcheck sees what is read before it is set on the stack and in registers,
# and every access outside of what is mapped; but it knows no malloc() there, so heap blocks
# without limits, and no leaks: the sanitizers' builds are for those.

# shellcheck source-path=SCRIPTDIR source=points.sh
. "$(dirname "$0")/points.sh"

# cli.t runs it as another user, too: in a folder that is open to all.
chmod 755 "$scratch"
cp build/preclaim "$scratch/program"
mkdir -m 1777 "$scratch/logs"
# one log a process: those of children are nobody's exit status
cat >"$scratch/preclaim" <<END
#!/bin/sh
exec valgrind -q --error-exitcode=99 --log-file='$scratch/logs/%p' '$scratch/program' "\$@"
END
chmod 755 "$scratch/preclaim"

# point SENTENCE COMMAND...
point() {
	name=$1
	shift
	"$@" >"$scratch/log" 2>&1
	ok "$name"
}
said() { grep -v '^ok ' "$scratch/log"; }
ran() { [ "$(find "$scratch/logs" -type f | wc -l)" -ge 150 ]; }
silent() { ! grep -r . "$scratch/logs"; }

# shellcheck disable=SC2046 # names without blanks
point 'golden cases come out as ever' env PRECLAIM_BINARIES="$scratch/preclaim" tests/golden.t tests/golden/show/* \
	$(printf '%s\n' tests/golden/parse/* tests/golden/plan/* | awk 'NR % 10 == 1')
point 'so do runs that apply rules' env PRECLAIM_CLI="$scratch/preclaim" tests/cli.t
point 'and those that go by a policy' env PRECLAIM_CLI="$scratch/preclaim" tests/policy.t
point 'each process was looked at' ran
point 'nothing was found in any' silent
end
