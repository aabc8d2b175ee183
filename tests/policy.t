#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a boot goes by: the policy that the first run in its image leaves, what udev's runs and
# the service make of it in the real root, and how a person changes it. No driver is behind
# these trees; driver=none needs none.

# shellcheck source-path=SCRIPTDIR source=points.sh
. "$(dirname "$0")/points.sh"

preclaim=$(realpath "${PRECLAIM_CLI:-build/preclaim}") || exit
cd "$scratch" || exit
gpu=0000:01:00.0 other=0000:03:00.0 disk=0000:02:00.0

said() {
	sed 's/^/err: /' err
	sed 's/^/kmsg: /' root/dev/kmsg
	[ ! -s root/run/preclaim/policy ] || sed 's/^/policy: /' root/run/preclaim/policy
}

# A machine's initramfs with these rules and facts.
image() {
	rm -rf root
	mkdir root || exit
	"$top/tests/mktree" "$top/tests/machines/desktop-one-gpu.manifest" root || exit
	mkdir -p root/etc root/run root/dev root/proc/sys/kernel
	conf "$1"
	[ -z "${2:-}" ] || printf '%s\n' "$2" >root/etc/preclaim.image
	[ -e root/etc/preclaim.image ] || : >root/etc/preclaim.image
	echo 'quiet' >root/proc/cmdline
	printf '7\t4\t1\t7\n' >root/proc/sys/kernel/printk
	touch root/init root/dev/kmsg
	: >err
}
conf() { printf '%s\n' "$1" >root/etc/preclaim.conf; }

# The move to the real root, which has the rules that its files say.
real_root() { rm -rf root/init root/etc/preclaim.image root/etc/preclaim.settled && : >root/dev/kmsg; }
# The root file system is on the disk.
mounted() { "$top/tests/mktree" "$top/tests/machines/desktop-one-gpu.root-on-nvme" root; }

# run STATUS COMMAND...: on that root
run() {
	want=$1
	shift
	timeout 30 "$preclaim" "$@" --root root >out 2>err
	got=$?
	[ "$got" = "$want" ] || { echo "exit status $got, not $want" >>err; false; }
}
udev() { SEQNUM=1 ACTION=add run "$1" apply "$2"; }
service() { run "$1" apply --wait --boot; }

override() { cat "root/sys/bus/pci/devices/$1/driver_override"; }
taken() { [ "$(override "$1")" = none ]; }
free() { [ "$(override "$1")" = '(null)' ]; }
quiet() { [ ! -s root/dev/kmsg ] && [ ! -s err ]; }

# --- in the image ------------------------------------------------------------

image "timeout 3
claim $gpu  01:00.1   driver=none # a card
claim 10de:22O4" "pin $gpu 10de:1e07:1462:3715"
echo 'preclaim.keep=01:00.1 preclaim.off=0' >root/proc/cmdline
mkdir root/etc/preclaim.d && echo 'group claim' >'root/etc/preclaim.d/my rules.conf'
run 2 apply
cat >want <<END
policy image
/etc/preclaim.conf:1 timeout 3
/etc/preclaim.conf:2 claim $gpu 01:00.1 driver=none
/etc/preclaim.d/my\x20rules.conf:1 group claim
cmdline:preclaim.keep keep 01:00.1
cmdline:preclaim.off off 0
fault /etc/preclaim.conf:3:14 "10de:22O4": not a hex digit
pin $gpu 10de:1e07:1462:3715
END
diff want root/run/preclaim/policy >>err && [ "$(stat -c %a root/run/preclaim/policy)" = 644 ]
ok 'the first run in the image leaves what the boot goes by: each rule with its place, what could not be parsed, and the facts'
real_root
conf ''
service 2
ok 'what could not be parsed is known to the end of the boot'
run 2 status && grep -q 'rule claim\|/etc/preclaim.conf:2' out && grep -q 'the rules in the files are not those that this boot goes by' err
ok 'status shows the rules of the policy with their places, and says that the files have others'

image ''
run 0 apply && quiet && [ "$(cat root/run/preclaim/policy)" = 'policy image' ]
ok 'without rules the run says nothing, and the policy is empty'
real_root
conf 'claim 01:00 driver=none'
udev 0 $gpu && service 0 && free $gpu && quiet
ok 'to which what the files have by now adds nothing, from udev or the service'

image 'claim 01:00 driver=none'
rm -r root/run && touch root/run
run 0 apply && taken $gpu && grep -q '^<4>preclaim: /run/preclaim/policy: cannot write it, .*: Not a directory (20)$' root/dev/kmsg
ok 'a policy that cannot be written is said; the devices are claimed all the same'

image 'claim 01:00 driver=none'
touch root/proc/vmcore
run 0 apply && free $gpu && [ "$(cat root/dev/kmsg)" = '<6>preclaim: nothing is done in a kdump kernel: /proc/vmcore is there' ] && [ ! -e root/run/preclaim ]
ok 'in a kdump kernel nothing is done, and one line says so'
: >root/dev/kmsg
udev 0 $gpu && free $gpu && real_root && udev 0 $gpu && service 0 && free $gpu && quiet
ok 'nor by any run after that, of which none says it again'

image 'claim 01:00 driver=none'
echo preclaim.off >root/proc/cmdline
run 0 apply && [ "$(cat root/dev/kmsg)" = '<6>preclaim: off: preclaim.off is on the kernel command line' ]
ok 'preclaim.off says so in one line'
real_root
udev 0 $gpu && service 0 && free $gpu && quiet
ok 'and holds for udev and the service to the end of the boot'

image "claim $other driver=none"
mv root/proc/cmdline cmdline
run 0 apply && taken $other && sed -n 2p root/run/preclaim/policy | grep -qx 'policy partial'
ok 'a policy without the rules of the command line, which cannot be read yet, says so'
printf 'quiet preclaim.claim=%s,driver=none\n' $disk >root/proc/cmdline
udev 0 $disk && taken $disk && ! grep -q partial root/run/preclaim/policy && grep -q "^cmdline:preclaim.claim claim $disk" root/run/preclaim/policy
ok 'a later run in the image that can read them does, and has them in the policy'

# --- in the real root --------------------------------------------------------

image 'claim 01:00 driver=none' "pin $gpu 1234:11e8:1af4:1100"
run 1 apply && real_root && udev 1 $gpu && service 1 && free $gpu
ok 'what is refused in the image as another device was there stays refused'

image 'claim class=0108 driver=none' "protect 0000:09:00.0 144d:a808:144d:a801 /"
run 1 apply && real_root && udev 1 $disk && service 1 && free $disk
ok 'so does what has the ids of a device that the machine needs, where that has moved'

image 'claim 01:00 driver=none'
run 0 apply && real_root && conf "claim 01:00 $other driver=none"
udev 0 $other && service 0 && free $other && taken $gpu && quiet
ok 'a rule that is added to the files takes nothing'
udev 0 $gpu && quiet
ok 'nor is anything said of what holds'
echo '(null)' >root/sys/bus/pci/devices/$gpu/driver_override
conf ''
udev 0 $gpu && taken $gpu && grep -q "^<6>preclaim: $gpu .*: claimed" root/dev/kmsg
ok 'a rule that was taken out of them still holds'

image 'claim class=0108 driver=none'
run 0 apply && real_root && mounted
echo '(null)' >root/sys/bus/pci/devices/$disk/driver_override
udev 1 $disk && free $disk && grep -q "^<3>preclaim: $disk .*: refused: carries / " root/dev/kmsg
ok 'what is in use by then is not taken, whatever the policy says'

image ''
real_root && rm -rf root/run/preclaim
conf 'claim 01:00 driver=none'
udev 0 $gpu && free $gpu && quiet
ok 'without a policy udev does nothing'
run 1 status && grep -q 'this boot goes by no rules: its image has no preclaim' err
ok 'of which status tells'
service 0 && taken $gpu && grep -q '^<4>preclaim: the rules are taken on only now, as this boot.s image has no preclaim' root/dev/kmsg &&
	grep -q "^<6>preclaim: $gpu .*: claimed" root/dev/kmsg && [ "$(tail -n 1 root/dev/kmsg | cut -c 1-24)" = '<6>preclaim: done: 4 cla' ] && [ ! -s err ]
ok 'the service takes the rules on then, and tells the kernel log'
: >root/dev/kmsg
service 0 && quiet
ok 'once: then they are what the boot goes by'

image 'claim 01:00 driver=none'
run 0 apply && real_root && conf ''
printf 'claim %s driver=none\n' $other >rules
udev 0 $other && free $other && SEQNUM=1 ACTION=add run 0 apply $other --config rules && taken $other
ok 'who says by which rules to go gets them'

# --- by a person -------------------------------------------------------------

image 'claim 01:00 driver=none'
run 0 apply && real_root && conf "claim 01:00 driver=none
claim $other driver=none"
run 0 apply $other && taken $other && grep -q "$other .*: claimed" err && ! grep -q 03:00 root/run/preclaim/policy
ok 'apply for one device acts once and changes no policy'
run 0 apply && head -n 1 root/run/preclaim/policy | grep -qx 'policy host' && grep -q "^/etc/preclaim.conf:2 claim $other driver=none\$" root/run/preclaim/policy &&
	grep -q "^pin $other " root/run/preclaim/policy && [ ! -s root/dev/kmsg ]
ok 'apply takes the rules of the files on, with what is at their places'
echo '(null)' >root/sys/bus/pci/devices/$other/driver_override
conf ''
udev 0 $other && taken $other
ok 'and udev goes by them from then on'
run 0 status && grep -q 'the rules in the files are not those' err
ok 'status compares with these'
run 0 apply && [ "$(sed 1d root/run/preclaim/policy)" = '' ] && run 0 status
ok 'with no rules left there is nothing to go by'

image ''
run 0 apply && real_root && mounted && conf "claim $disk driver=none"
run 1 apply && free $disk && grep -q "$disk .*: refused: carries / " err
ok 'what is in use on a running host is not taken, even by its address'
rm root/proc/self/mountinfo
udev 1 $disk && service 1 && free $disk
ok 'nor later, when it is not in use'

image ''
run 0 apply && real_root && mounted && conf "claim $disk $gpu driver=none"
run 1 apply -n && grep -q "^$disk .* refuse" out && grep -q "^  override $gpu none" out && ! grep -q "override $disk" out && free $gpu &&
	[ "$(cat root/run/preclaim/policy)" = 'policy image' ]
ok 'apply -n prints what apply would do, and changes nothing'
run 1 apply --wait -n && ! grep -q "override $disk" out
ok 'and so it does with --wait'

echo junk >root/run/preclaim/policy
udev 2 $gpu && free $gpu
ok 'a policy that makes no sense is one without rules'
end
