#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# run.t: what tests/run makes of tests that pass, fail, are skipped, or do not get to their end.

# shellcheck source-path=SCRIPTDIR source=points.sh
. "$(dirname "$0")/points.sh"

unset TEST_JOBS
said() { cat "$scratch/said"; }
cd "$scratch" || exit

# a_test NAME: a test that runs what is on standard input
a_test() {
	{ echo '#!/bin/sh' && cat; } >"$1"
	chmod 755 "$1"
}

# says LINE STATUS NAME...: the end of a run of these tests, and its exit status
says() {
	line=$1 want=$2
	shift 2
	for name; do
		shift
		[ "$name" = -- ] || name=$scratch/$name
		set -- "$@" "$name"
	done
	TEST_LOG=$scratch/test.log "$top/tests/run" "$@" >said 2>&1
	got=$?
	[ "$got" = "$want" ] && [ "$(tail -n 1 said)" = "$line" ] && cmp said test.log >differs
}

a_test good <<'END'
echo ok 1 - one
echo '# a note'
echo ok 2 - two
echo 1..2
END
a_test fails <<'END'
echo 1..2
echo not ok 1 - this one
echo '# because' >&2
echo ok 2 - the next
exit 1
END
a_test skips <<'END'
echo 1..2
echo ok 1 - one
echo ok 2 - two '# SKIP no reason'
END
a_test skips-all <<'END'
echo '1..0 # SKIP no reason'
END
a_test dies <<'END'
echo 1..3
echo ok 1 - one
kill -9 $$
END
a_test stops <<'END'
echo 1..3
echo ok 1 - one
END
a_test no-plan <<'END'
echo ok 1 - one
END
a_test exits <<'END'
echo ok 1 - one
echo 1..1
exit 3
END
a_test silent </dev/null
a_test gives-up <<'END'
echo ok 1 - one
echo Bail out!
END
a_test slow <<'END'
sleep 0.3
echo ok 1 - one
echo 1..1
date +%s.%N >slow.ended
END
a_test later <<'END'
date +%s.%N >later.began
echo ok 1 - one
echo 1..1
END
# the runner's folder is the top
sed -i "s|>\([a-z.]*\)\$|>$scratch/\1|" slow later

says '2 passed, 0 failed' 0 good
ok 'a test that passes'
grep -qx '# a note' said && grep -qx 'ok 2 - two' said
ok 'all that it prints is there'
says '3 passed, 1 failed' 1 good fails
ok 'a point that fails'
grep -qx 'not ok 1 - this one' said && grep -qx '# because' said && grep -qx "# failed: $scratch/fails: not ok 1 - this one" said
ok 'its output is there, standard error too, and at the end it is named'
says '1 passed, 1 failed' 1 skips
ok 'a point that is skipped has failed'
says '2 passed, 1 failed' 1 good skips-all
ok 'a test that is skipped has failed'
says '3 passed, 1 failed' 1 good dies && grep -q "^# failed: $scratch/dies: .*signal 9" said
ok 'a test that is killed has failed'
says '3 passed, 1 failed' 1 good stops
ok 'one that ends before its last point has failed'
says '3 passed, 1 failed' 1 good no-plan
ok 'one without a plan has failed'
says '3 passed, 1 failed' 1 good exits && grep -qx "# failed: $scratch/exits: exit status 3" said
ok 'one whose exit status is bad has failed'
says '2 passed, 1 failed' 1 good silent
ok 'one that prints nothing has failed'
says '2 passed, 1 failed' 1 good missing
ok 'one that is not there has failed'
says '3 passed, 1 failed' 1 gives-up -- good
ok 'one that bails out has failed, and the next group runs'
says '0 passed, 0 failed' 1
ok 'no tests at all have not passed'

says '3 passed, 1 failed' 1 slow -- later skips && [ "$(sort -n slow.ended later.began | head -n 1)" = "$(cat slow.ended)" ]
ok 'a group begins when the one before has ended'
grep -q '^# 1 of 3' said && grep -q '^# 3 of 3$' said
ok 'it says how many tests have ended'
rm test.times
says '4 passed, 0 failed' 0 good later slow && ! grep -q ' left$' said
ok 'in the first run not how long the others will take'
sed -i "s|slow\t[0-9.]*|slow\t600|" test.times
says '4 passed, 0 failed' 0 good later slow -- && grep -q '^# 1 of 3, some [0-9]* min left$' said
ok 'after that it does'
sed -n '/^# the slowest/,$p' said | sed -n 2p | grep -qE "^# +[0-9.]+ +[0-9.]+ $scratch/slow\$"
ok 'the slowest are at the end'
sed -i "/later/d; s|slow\t[0-9.]*|slow\t600|" test.times
says '4 passed, 0 failed' 0 good -- later slow && grep -q '^# 1 of 3, more than [0-9]* min left$' said
ok 'of a test that is new it says that it takes more than that'
sed -i "s|later\t[0-9.]*|later\t700|" test.times
says '4 passed, 0 failed' 0 good later slow && [ "$(grep -oE "^# $scratch/(later|good):" said | head -n 1)" = "# $scratch/later:" ]
ok 'the longest begin first'
end
