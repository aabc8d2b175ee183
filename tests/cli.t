#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the shipped binary does to a machine's tree when it applies rules: files, messages,
# exit status. Behind these trees is no kernel, so what a write leaves in a file is seen, and
# no module is loaded: what is to be bound is held by its driver from the start. What comes of
# modprobe is in world.t. PRECLAIM_CLI names another binary than the shipped one.

# shellcheck source-path=SCRIPTDIR source=points.sh
. "$(dirname "$0")/points.sh"

preclaim=$(realpath "${PRECLAIM_CLI:-build/preclaim}") || exit
cd "$scratch" || exit

said() {
	sed 's/^/err: /' err
	[ ! -s root/dev/kmsg ] || sed 's/^/kmsg: /' root/dev/kmsg
}

# A fresh machine in root/; its rules are the argument.
machine() {
	# a run that did not end in time goes on by itself: in the tree that it knows
	[ ! -e root ] || mv root "$(mktemp -d old.XXXXXX)" || exit
	mkdir root || exit
	"$top/tests/mktree" "$top/tests/machines/${2:-desktop-one-gpu}.manifest" root || exit
	mkdir -p root/etc root/run root/dev root/proc/sys/kernel root/sbin
	printf '%s\n' "$1" >root/etc/preclaim.conf
	: >root/proc/cmdline
	: >err
}

# It looks like an initramfs: /init, /dev/kmsg and a console that shows all.
image() {
	machine "$@"
	touch root/init root/dev/kmsg
	printf '7\t4\t1\t7\n' >root/proc/sys/kernel/printk
}

# held ADDRESS...: vfio-pci has these, which is not all that a claim is
held() {
	mkdir -p root/sys/bus/pci/drivers/vfio-pci
	for d; do
		ln -sfnr root/sys/bus/pci/drivers/vfio-pci "root/sys/bus/pci/devices/0000:$d/driver"
	done
}

# apply STATUS [ARGUMENT...]: run it, expecting that exit status
apply() {
	want=$1
	shift
	timeout 30 "$preclaim" apply --root root "$@" >out 2>err
	got=$?
	[ "$got" = "$want" ] || { echo "exit status $got, not $want" >>err; false; }
}

override() { cat "root/sys/bus/pci/devices/$1/driver_override"; }

gpu=0000:01:00.0

image "claim $gpu 01:00.1 01:00.2 01:00.3"
held 01:00.0 01:00.1 01:00.2 01:00.3
apply 0 && [ "$(override $gpu)" = vfio-pci ]
ok 'devices are claimed'
[ "$(grep -c "^<6>preclaim: 0000:01:00\.[0-3] \[[0-9a-f:]*\]: claimed by vfio-pci, group [0-9]*\$" root/dev/kmsg)" = 4 ]
ok 'each device has its record in the kernel log'
tail -n 1 root/dev/kmsg | grep -qE '^<6>preclaim: done: 4 claimed, 0 VFs, 0 refused, 0 failed in [0-9]+ ms$'
ok 'the last record sums up'
[ ! -s err ]
ok 'a console that shows all gets nothing twice'
[ "$(grep -cE '^0000:01:00\.[0-3] 10de:[0-9a-f]{4} claim claimed vfio-pci [0-9]+ /etc/preclaim.conf:1 [0-9]+$' root/run/preclaim/status)" = 4 ]
ok 'the status file has a line for each device'
[ "$(stat -c '%a %a' root/run/preclaim/status)" = '644 644' ] && [ "$(ls -A root/run/preclaim)" = "$(printf 'claimed\nlock\npolicy\nstatus')" ]
ok 'nothing else is left below /run'
[ "$(ls root/run/preclaim/claimed)" = "$(printf "0000:01:00.%s-vfio-pci\n" 0 1 2 3)" ] && [ "$(stat -c %a root/run/preclaim/claimed)" = 755 ]
ok 'what was claimed is marked, with its driver'
: >root/dev/kmsg
apply 0 && [ ! -s root/dev/kmsg ] && ! timeout 30 "$preclaim" apply -n --root root 2>&1 | grep steps
ok 'a second run has nothing to do'

image "claim $gpu 00:1f.3"
held 01:00.0 00:1f.3
apply 0 01:00.0 && [ "$(override $gpu)" = vfio-pci ] && [ "$(override 0000:00:1f.3)" = '(null)' ]
ok 'an address restricts the run to its device'
apply 0 0000:00:1f.3
[ "$(cut -d ' ' -f 1 root/run/preclaim/status | tr '\n' ' ')" = "$gpu 0000:00:1f.3 " ]
ok 'the status file keeps what an earlier run did for another device'
apply 1 0000:44:00.0 && grep -q '0000:44:00.0: there is no such device' root/dev/kmsg
ok 'an address without a device is an error'

image "claim $gpu"
printf '#!/bin/sh\n: >"%s"\n' "$scratch/root/was-run" >root/sbin/modprobe && chmod 755 root/sbin/modprobe
apply 1 && grep -qx '<3>preclaim: module vfio-pci: not loaded: nothing is run with --root' root/dev/kmsg && [ ! -e root/was-run ]
ok 'nothing in a tree is run, and that no module is loaded is told'
root/sbin/modprobe && [ -e root/was-run ]
ok 'though it could be'
grep -q "^<3>preclaim: $gpu .*: not claimed: there is no driver vfio-pci; held without a driver" root/dev/kmsg
ok 'without the driver the failure is told and the device is held'
[ "$(override $gpu)" = vfio-pci ]
ok 'a held device has its override set'

image "on-failure release
claim $gpu"
apply 1 && [ -z "$(override $gpu)" ] && grep -q "^<3>preclaim: $gpu .*: not claimed: .*; released; no driver of the host has it" root/dev/kmsg
ok 'with on-failure release the override is cleared'

image "claim $gpu
claim 10de:22O4"
held 01:00.0
apply 2 && [ "$(override $gpu)" = vfio-pci ] &&
	grep -qF '<3>preclaim: /etc/preclaim.conf:2:14: "10de:22O4": not a hex digit' root/dev/kmsg
ok 'a broken rule is told with its place, and hides no good one'

image "claim $gpu"
echo preclaim.off >root/proc/cmdline
apply 0 && [ "$(override $gpu)" = '(null)' ] && grep -q 'preclaim: off: ' root/dev/kmsg
ok 'preclaim.off switches everything off, and says so'

image "claim $gpu 44:00.0"
held 01:00.0
printf '4\t4\t1\t7\n' >root/proc/sys/kernel/printk
apply 1 && grep -q '^preclaim: no device matches (rule claim 44:00.0' err && ! grep -q claimed err
ok 'a quiet console gets warnings all the same'

image "claim $gpu"
held 01:00.0
rm root/dev/kmsg
apply 0 && grep -q "preclaim: $gpu .*: claimed by vfio-pci" err
ok 'without /dev/kmsg messages go to standard error'

image "claim $gpu"
held 01:00.0
rmdir root/run
apply 0 && grep -q '^<4>preclaim: /run/preclaim/status: cannot write it: No such file or directory (2)' root/dev/kmsg
ok 'without /run the claim is made, with a warning'

image "claim $gpu"
held 01:00.0
ln -s ../etc root/run/preclaim
apply 0 && [ ! -e root/etc/status ] && [ ! -e root/etc/claimed ]
ok 'a link planted in /run leads nowhere'
rm root/run/preclaim && mkdir root/run/preclaim && ln -s ../../etc root/run/preclaim/claimed
apply 0 && [ ! -e "root/etc/$gpu-vfio-pci" ]
ok 'nor does one in its directory there'

machine "claim 01:00"
held 01:00.0 01:00.1 01:00.2 01:00.3
touch root/dev/kmsg
printf '7\t4\t1\t7\n' >root/proc/sys/kernel/printk
apply 0 && [ ! -s root/dev/kmsg ] && grep -q "preclaim: $gpu .*: claimed" err
ok 'on a host messages go to standard error'
apply 0 -q && [ ! -s err ]
ok 'with -q a run without trouble says nothing'

machine "claim 01:00"
held 01:00.0 01:00.1 01:00.2 01:00.3
touch root/dev/kmsg
mkdir root/run/preclaim && printf 'policy image\n/etc/preclaim.conf:1 claim 01:00\n' >root/run/preclaim/policy
SEQNUM=1 timeout 30 "$preclaim" apply --root root 2>err && [ ! -s err ] && grep -q "preclaim: $gpu .*: claimed" root/dev/kmsg
ok 'from udev messages go to the kernel log'

# from_udev ACTION: how many errors such a run has about the device
from_udev() {
	: >root/dev/kmsg
	SEQNUM=1 ACTION=$1 timeout 30 "$preclaim" apply $gpu --root root
	grep -c "^<3>preclaim: $gpu .*: not claimed" root/dev/kmsg
}
# The root file system is on the disk at 02:00.0.
on_nvme() { "$top/tests/mktree" "$top/tests/machines/desktop-one-gpu.root-on-nvme" root; }
disk=0000:02:00.0
machine "claim 02:00.0"
on_nvme
apply 1 && grep -q "preclaim: $disk .*: refused: carries /" err && [ "$(override $disk)" = '(null)' ]
ok 'what a running host needs is not taken from it, even by its address'
timeout 30 "$preclaim" check --root root >out 2>err && grep -q "preclaim: $disk .*: carries /; claimed all the same" err
ok 'check says what the next boot would do'
machine ''
mkdir root/proc/swaps
timeout 30 "$preclaim" claim $gpu --root root >out 2>err
[ $? = 4 ] && grep -qxF 'preclaim: /proc/swaps: cannot read it, so what this machine needs is not known: Is a directory (21)' err
ok 'nothing is taken by hand where it cannot be read what the host needs, and the file is named'
machine "claim $gpu"
mkdir root/proc/swaps
timeout 30 "$preclaim" apply --root root >out 2>err
[ $? = 4 ] && grep -qxF 'preclaim: /proc/swaps: cannot read it, so what this machine needs is not known: Is a directory (21)' err &&
	[ "$(override $gpu)" = '(null)' ]
ok 'nor by the rules of a running host'
timeout 30 "$preclaim" check --image --root root >out 2>err
grep -qxF 'unknown storage swap: cannot follow "proc/swaps": Is a directory' out &&
	grep -qxF 'preclaim: swap: cannot follow "proc/swaps": Is a directory' err
ok 'an image is made, and says that it is not known'
image "claim 02:00.0"
on_nvme
held 02:00.0
echo "protect $disk 144d:a808:144d:a801 /" >root/etc/preclaim.image
apply 0 && grep -q "<4>preclaim: $disk .*: carries /; claimed all the same" root/dev/kmsg && [ "$(override $disk)" = vfio-pci ]
ok 'an image takes it'

# marks EXPRESSION: what sed(1) makes of ADDRESS-MODALIAS of all devices is what is marked
marks() {
	(cd root/sys/bus/pci/devices && for d in *; do echo "$d-$(cat "$d/modalias")"; done) | sed "$1" | sort >want
	[ -d root/etc/preclaim.settled ] && find root/etc/preclaim.settled -type f -printf '%f\n' | sort | diff - want >>err
}
image "claim 01:00 02:00.0
keep 01:00.3
claim 00:1f.3 driver=none"
held 01:00.0 01:00.1 01:00.2 02:00.0
echo "protect $disk 144d:a808:144d:a801 /" >root/etc/preclaim.image
apply 0 && marks '/01:00.[012]\|02:00\|00:1f.3/d'
ok 'an image marks what is left to the host'
apply 0 && marks '/01:00.[012]\|02:00\|00:1f.3/d'
ok 'a second run marks the same'
image 'claim 01:00 class=01'
echo "protect $disk 144d:a808:144d:a801 /" >root/etc/preclaim.image
apply 1 && marks '/01:00\|02:00\|00:17/d' && [ ! -e root/run/preclaim/claimed ]
ok 'what could not be claimed, or was refused, has no mark at all'
image 'vfs 05:00.0=2
claim 06:00.1 driver=igb' server-sriov
touch root/etc/preclaim.image
apply 1 && marks '/05:00.0\|05:10\|06:00.1\|06:02/d'
ok 'neither have VFs and PFs that are to have any'
image '' desktop-no-iommu
touch root/etc/preclaim.image
apply 0 && [ "$(ls root/etc/preclaim.settled)" = all ]
ok 'without a rule all have one together'
image 'keep 01:00.0' desktop-no-iommu
touch root/etc/preclaim.image
apply 0 && [ ! -e root/etc/preclaim.settled/all ]
ok 'and only then'
image 'group claim' desktop-no-iommu
touch root/etc/preclaim.image
apply 0 && marks 'd'
ok 'with rules, those without a group that may come have none'
for spoilt in 'rm root/proc/cmdline' 'mkdir root/etc/preclaim.conf'; do
	image ''
	touch root/etc/preclaim.image
	rm root/etc/preclaim.conf
	$spoilt
	timeout 30 "$preclaim" apply --root root >out 2>err
	tail -n 1 root/dev/kmsg | grep -q 'preclaim: done: ' && [ ! -e root/etc/preclaim.settled ]
	ok "not all rules may be known, so nothing is marked: $spoilt"
done
image ''
touch root/etc/preclaim.image
apply 0 --cmdline '' && [ ! -e root/etc/preclaim.settled ]
ok 'nor with other rules than those of the image'
image "claim $gpu"
held 01:00.0
touch root/etc/preclaim.image
[ "$(from_udev add)" = 0 ] && [ "$(override $gpu)" = vfio-pci ] && [ ! -e root/etc/preclaim.settled ]
ok 'a run of udev marks nothing'
machine ''
apply 0 && [ ! -e root/etc/preclaim.settled ]
ok 'nor does one on a running host'
image ''
touch root/etc/preclaim.image
ln -s ../run root/etc/preclaim.settled
apply 0 && [ "$(ls -A root/run)" = preclaim ] && [ ! -s err ]
ok 'a link in the place of the marks is not followed'

image "claim $gpu"
[ "$(from_udev add) $(from_udev add) $(from_udev bind)" = '1 0 1' ]
ok 'what failed is told once, and again when a driver has come'

machine "claim $gpu"
# A copy of it: other users may not get to the project's folder.
cp "$preclaim" program
chmod -R a+rX . && chmod a-w root/sys/bus/pci/drivers_probe
set --
[ "$(id -u)" != 0 ] || set -- setpriv --reuid 65534 --regid 65534 --clear-groups
timeout 30 "$@" ./program apply --root root 2>err
[ $? = 4 ] && grep -q 'preclaim: /sys: cannot write to it: Permission denied (13)' err && [ "$(override $gpu)" = '(null)' ]
ok 'without permission nothing is tried'

image "claim $gpu driver=none"
apply 0 && grep -q "^<6>preclaim: $gpu .*: claimed, no driver may have it, group 1" root/dev/kmsg && [ "$(override $gpu)" = none ]
ok 'driver=none needs no module'

image "timeout 1
claim $gpu 44:00.0"
held 01:00.0
apply 1 --wait && [ "$(override $gpu)" = vfio-pci ] && [ "$(grep -c 'no device matches' root/dev/kmsg)" = 1 ]
ok 'apply --wait waits no longer than the timeout, and then does and tells what it can'
image "claim $gpu"
held 01:00.0
apply 0 && : >root/dev/kmsg && apply 0 --wait -v && grep -q "^<7>preclaim: $gpu .*: claimed by vfio-pci" root/dev/kmsg
ok 'apply --wait waits for nothing where all is there; with -v what held before is told too'

image "claim 44:00.0"
SEQNUM=1 ACTION=remove "$preclaim" apply 0000:44:00.0 --root root
[ $? = 1 ] && [ ! -s root/dev/kmsg ]
ok 'an event of a device that is gone by now is nothing to tell'
image "claim $gpu"
echo preclaim.off >root/proc/cmdline
SEQNUM=1 ACTION=add "$preclaim" apply $gpu --root root && [ ! -s root/dev/kmsg ] && [ "$(override $gpu)" = '(null)' ]
ok 'preclaim.off holds for events too, of which each would say so'

machine "claim $gpu"
rm root/etc/preclaim.conf && mkdir root/etc/preclaim.conf && touch root/etc/preclaim.d
"$preclaim" check --root root >out 2>err
[ $? = 4 ] && grep -q '^preclaim: /etc/preclaim.conf: cannot read it: Is a directory (21)' err &&
	grep -q '^preclaim: /etc/preclaim.d: cannot list it: Not a directory (20)' err
ok 'rules that cannot be read are an error'
"$preclaim" check --root root --config missing >out 2>err
[ $? = 4 ] && grep -q '^preclaim: missing: cannot read it: No such file or directory (2)' err
ok 'a file of rules that was asked for has to be there'
"$preclaim" apply --root root/missing >out 2>err
[ $? = 4 ] && grep -q '^preclaim: root/missing: No such file or directory (2)' err && grep -q '^preclaim: done: 0 claimed, 0 VFs, 0 refused, 1 failed' err
ok 'a root that is not there is an error'
rm -r root/etc/preclaim.conf root/sys/bus/pci/drivers
"$preclaim" check --root root >out 2>err
[ $? = 4 ] && grep -q '^preclaim: /sys/bus/pci/drivers: cannot read it: No such file or directory (2)' err
ok 'sysfs without drivers is an error'

machine "claim $gpu"
script -qec "'$preclaim' list --root root" /dev/null </dev/null >out 2>err
tr -d '\r' <out | awk '!/\t/ && index($0, "ADDRESS") { at = index($0, "ADDRESS") } at && substr($0, at, 12) == "0000:01:00.0" { good = 1 } END { exit !good }'
ok 'on a terminal the columns of a table stand one below the other'

machine ''
{ head -c 5000 /dev/zero | tr '\0' x; echo " preclaim.claim=$gpu"; } >root/proc/cmdline
"$preclaim" check --root root >out 2>err && grep -q "^$gpu .* claim vfio-pci, group 1 (rule claim $gpu, cmdline:preclaim.claim)" out
ok 'a long command line is read to its end'
head -c 5000000 /dev/zero | tr '\0' '#' >root/etc/preclaim.conf
"$preclaim" check --root root >out 2>err
[ $? = 4 ] && grep -q '^preclaim: /etc/preclaim.conf: cannot read it: .*(27)' err
ok 'a file of rules that is too large to be one is an error'
machine "claim $gpu"
head -c 500 /dev/zero | tr '\0' x >root/sys/bus/pci/devices/0000:00:1f.3/modalias
"$preclaim" check --root root >out 2>err
[ $? = 1 ] && grep -q '^preclaim: 0000:00:1f.3: modalias: cannot read it: .*(27); left out' err && grep -q "override $gpu" out
ok 'an attribute that is longer than the kernel has it hides no other device'

image "claim $gpu"
held 01:00.0
echo >root/run/preclaim
apply 0 && grep -q '^<4>preclaim: /run/preclaim/status: cannot write it: Not a directory (20)' root/dev/kmsg
ok 'a file in the place of /run/preclaim is left alone, with a warning'
image "claim $gpu"
held 01:00.0
rm root/dev/kmsg && mkdir root/dev/kmsg
apply 0 && grep -q "preclaim: $gpu .*: claimed by vfio-pci" err
ok 'where /dev/kmsg takes no record messages go to standard error'
image "claim $gpu"
held 01:00.0
echo nonsense >root/proc/sys/kernel/printk
apply 0 && [ "$(grep -c '^<6>preclaim: done' root/dev/kmsg)" = 1 ] && [ ! -s err ]
ok 'where the level of the console is not known nothing is told twice'

machine 'claim class=03'
told=0
for command in check 'check --image' 'check --json' list 'list --json' status 'status --json'; do
	# shellcheck disable=SC2086 # a list of words
	"$preclaim" $command --root root >/dev/full 2>err
	[ $? = 4 ] && told=$((told + $(grep -c 'standard output: cannot write' err)))
done
[ $told = 7 ]
ok 'output that cannot be written is an error'

# What a device, a file or a user can make a terminal do, or a table, or the log.
evil=$(printf 'e v\033[31m\t\233\nil')
# is_plain FILE...: no byte but printable ASCII and line ends, and the tabs of tables
is_plain() { cat "$@" >bytes && [ -s bytes ] && [ "$(LC_ALL=C tr -d '\n\t -~' <bytes | wc -c)" = 0 ]; }
# has_columns N FILE: each line of a table has so many
has_columns() { awk -F '\t' -v n="$1" 'NF != n { bad = 1 } END { exit bad || NR < 2 }' "$2"; }
# is_told FILE: each line is a message
is_told() { [ -s "$1" ] && ! grep -vE '^(<[0-9]>)?preclaim: ' "$1"; }

# A machine on which all that can be odd is: names of drivers and directories, overrides, and what files hold.
odd() {
	"$1" "claim 01:00.0 00:1f.3
claim $evil driver=$evil"
	printf '%s %s preclaim.%s=1 preclaim.claim=44:00.0,%s\n' "$evil" "$evil" "$evil" "$evil" | tr '\n' '\r' >root/proc/cmdline
	mkdir -p root/etc/preclaim.d "root/sys/bus/pci/drivers/$evil" "root/sys/bus/pci/devices/$evil" root/run/udev/data root/run/preclaim
	printf 'claim 00:14.0 driver=auto\nkeep %s\n' "$evil" >"root/etc/preclaim.d/$evil.conf"
	: >"root/sys/bus/pci/drivers/$evil/unbind"
	for d in 00:1f.3 01:00.1; do
		ln -sfnr "root/sys/bus/pci/drivers/$evil" "root/sys/bus/pci/devices/0000:$d/driver"
	done
	for d in 00:14.0 01:00.2; do
		echo "$evil" >"root/sys/bus/pci/devices/0000:$d/driver_override"
	done
	printf 'E:ID_VENDOR_FROM_DATABASE=%s\nE:ID_PCI_SUBCLASS_FROM_DATABASE=a\tb\033\n' "$evil" >"root/run/udev/data/+pci:$gpu"
	printf '%s' "$evil" | tr '\n' ' ' >root/proc/sys/kernel/osrelease
	printf 'Filename Type Size Used Priority\n/dev/\033[31m\\011x partition 1 0 -2\n' >root/proc/swaps
	printf '0000:01:00.0 10de:2204 claim \033[31mclaimed - 1 x 0\n' >root/run/preclaim/status
}
odd machine
for command in list status check 'check --image' 'list --json' 'status --json' 'check --json' 'apply -n'; do
	# shellcheck disable=SC2086 # a list of words
	timeout 30 "$preclaim" $command --root root >out 2>err
	is_plain out err && case $command in
	list) has_columns 10 out ;;
	status) has_columns 7 out ;;
	*--json) perl -MJSON::PP -0ne 'decode_json($_)' out 2>>err ;;
	esac
	ok "$command: no name and no file makes it print control characters, or more columns"
	[ "$command" = list ] || { is_told err && grep -q 'e\\x20v' err; }
	ok "$command: nor lines of their own among the messages"
done
timeout 30 script -qec "'$preclaim' list --root root; '$preclaim' status --root root" /dev/null </dev/null 2>&1 | tr -d '\r' >out
is_plain out && ! grep -q "$(printf '\t')" out
ok 'list and status: nor on a terminal'
for applies in apply 'claim 01:00.1' 'release 01:00.2'; do
	odd image
	: >root/run/preclaim/status
	# shellcheck disable=SC2086 # a list of words
	timeout 30 "$preclaim" $applies --root root >out 2>err
	is_plain root/dev/kmsg root/run/preclaim/status && [ ! -s out ] && [ ! -s err ] && is_told root/dev/kmsg
	ok "$applies: nor in the log"
	awk 'NF != 8 { bad = 1 } END { exit bad || NR < 1 }' root/run/preclaim/status
	ok "$applies: each line of the status file has eight columns"
done
odd image
timeout 30 "$preclaim" apply --root root >out 2>err
grep -q '^0000:00:14.0 .* /etc/preclaim\.d/e\\x20v.*\.conf:1 [0-9]*$' root/run/preclaim/status
ok 'a blank in the name of a file of rules is none in the status file'
odd machine
# plain_argument ARGUMENT...: what is said of them
plain_argument() {
	timeout 30 "$preclaim" "$@" >out 2>err </dev/null
	is_plain out err && ! grep -vE '^(preclaim: |# /proc/cmdline: )' err
	ok "an argument is printed as plain text, too: $(printf '%s ' "$@" | tr -c ' -~' '?')"
}
plain_argument "$evil"
plain_argument "-$evil"
plain_argument "--$evil" list
plain_argument list "$evil"
plain_argument apply "$evil"
plain_argument claim --root root "$evil"
plain_argument list --root "$evil"
plain_argument check --root root --config "$evil"
plain_argument check --root root --cmdline "preclaim.$evil preclaim.claim=$evil"
# import is a script beside the program
ln -s "$preclaim" beside && cp "$top/src/preclaim-import" beside-import
program=$preclaim
preclaim=./beside-import
plain_argument "$evil"
plain_argument "--$evil"
plain_argument --from-cmdline --cmdline "vfio-pci.ids=$evil"
preclaim=$program

# --root DIR is a world of its own. Beside it lies what must not be reached, at the very paths
# that links in the tree have: absolute ones, and such that lead above the tree.
outside=$scratch/outside
mkdir -p "$outside/etc" "$outside/run/preclaim"
# untouched: nothing outside is other than it was
untouched() { [ "$(find "$outside" -type f -size +0; ls -A "$outside/run/preclaim")" = "$outside/etc/secret" ]; }
echo 'claim 0000:00:1f.3 # out' >"$outside/etc/secret"
: >"$outside/kmsg"
: >"$outside/override"
# claims [ARGUMENT...]: the devices that check claims in the tree, and what it says
claims() {
	timeout 30 "$preclaim" check --root root "$@" >out 2>err
	result=$?
	sed -n 's/^\(0000:[^ ]*\) .* claim .*/\1/p' out | tr '\n' ' '
	return $result
}

machine "claim $gpu"
list=$("$preclaim" list --root root)
for d in root/sys/bus/pci/devices/*; do
	ln -sfn "/sys/$(readlink "$d" | sed 's|^\(\.\./\)*||')" "$d"
	[ -L "$d/iommu_group" ] || continue
	ln -sfn "/sys/kernel/iommu_groups/$(basename "$(readlink "root/$(readlink "$d")/iommu_group")")" "root/$(readlink "$d")/iommu_group"
done
[ "$(claims)" = "$gpu " ] && [ "$("$preclaim" list --root root)" = "$list" ]
ok 'absolute links in a tree lead into that tree'
machine ''
mkdir -p root/a/b/c root/etc/deep
echo "claim $gpu" >root/a/b/real.conf
while read -r target; do
	ln -sfn "$target" root/etc/preclaim.conf
	ln -sfn /a/b/c root/link
	ln -sfn deep/../../link/.. root/etc/chain
	[ "$(claims)" = "$gpu " ]
	ok "a file of rules is found by the link $target"
done <<-'END'
	/a/b/real.conf
	//a/./b//real.conf
	../a/b/c/../real.conf
	../../../../../../../a/b/real.conf
	/../../a/b/real.conf
	/etc/deep/../../a/b/real.conf
	/link/../real.conf
	/link//../c/../../b/real.conf
	/etc/chain/real.conf
END
ln -sfn 39 root/etc/preclaim.conf
for n in $(seq 1 39); do
	ln -s $((n - 1)) "root/etc/$n"
done
ln -s ../a/b/real.conf root/etc/0
claims >/dev/null
grep -qxF 'preclaim: /etc/preclaim.conf: cannot read it: Too many levels of symbolic links (40)' err && ln -sfn 38 root/etc/preclaim.conf && [ "$(claims)" = "$gpu " ]
ok 'forty links are followed, and no more'
ln -sfn preclaim.conf root/etc/preclaim.conf
claims >/dev/null
[ $? = 4 ] && grep -qxF 'preclaim: /etc/preclaim.conf: cannot read it: Too many levels of symbolic links (40)' err
ok 'a link to itself is an error'
for target in "$outside/etc/secret" ../../outside/etc/secret deep/../../../outside/etc/secret; do
	ln -sfn "$target" root/etc/preclaim.conf
	[ -z "$(claims)" ] && claims --cmdline preclaim.claim=44:00.0 >/dev/null
	! grep -q 1f.3 out err && [ -s out ]
	ok "no rules are found by the link $(echo "$target" | sed "s|$scratch|...|")"
done
machine "claim $gpu"
ln -sfn "$outside/etc" root/etc/preclaim.d
cp "$outside/etc/secret" "$outside/etc/a.conf"
[ "$(claims)" = "$gpu " ]
ok 'nor in a folder outside'
rm "$outside/etc/a.conf"
cp root/sys/bus/pci/devices/$gpu/modalias root/modalias
ln -sfn /modalias root/sys/bus/pci/devices/$gpu/modalias
[ "$(claims)" = "$gpu " ]
ok 'an attribute that is a link is read where it leads in the tree'
cp root/modalias "$outside/modalias"
ln -sfn "$outside/modalias" root/sys/bus/pci/devices/$gpu/modalias
[ -z "$(claims)" ]
ok 'and not outside'
rm "$outside/modalias"

# numvfs: what import makes of a line on a device in the tree
mkdir -p root/sys/devices/eth "$outside/eth" root/sys/class/net
ln -s ../../0000:05:00.0 root/sys/devices/eth/device
ln -s ../../0000:06:00.0 "$outside/eth/device"
numvfs() {
	ln -sfn "$1" root/sys/class/net/eth0
	echo 'class/net/eth0/device/sriov_numvfs = 4' >sysfs.conf
	timeout 30 ./beside-import --root root sysfs.conf >out 2>err
	grep -o '^vfs [^ ]*' out
}
[ "$(numvfs ../../devices/eth)" = 'vfs 0000:05:00.0=4' ] && [ "$(numvfs /sys/devices/eth)" = 'vfs 0000:05:00.0=4' ] &&
	[ "$(numvfs /../sys/./class/../devices/eth)" = 'vfs 0000:05:00.0=4' ]
ok 'import finds a device by links in the tree'
[ -z "$(numvfs "$outside/eth")" ] && grep -q '^# .*: not translated, as there is no such device: ' out
ok 'and by none that leads outside'
[ -z "$(numvfs eth0)" ] && grep -q '^# .*: not translated, as there is no such device: ' out
ok 'nor by one that leads to itself'
echo vfio-pci.ids=10de:2204 >root/proc/real
echo vfio-pci.ids=10de:0bad >"$outside/cmdline"
ln -sfn /proc/real root/proc/cmdline
./beside-import --root root --from-cmdline >out 2>err && grep -qx 'claim 10de:2204 # /proc/cmdline' out
ok 'import reads the command line of the tree'
ln -sfn "$outside/cmdline" root/proc/cmdline
./beside-import --root root --from-cmdline >out 2>err
! grep -q 0bad out
ok 'and not one outside'
rm -r "$outside/eth" "$outside/cmdline"

for kind in absolute relative; do
	image "claim $gpu driver=none"
	rm -r root/dev/kmsg root/run root/sys/bus/pci/drivers_probe
	set -- -sfn
	top_of=root$outside
	[ $kind = absolute ] || { set -- -sfnr && top_of=root/outside; }
	ln "$@" "$outside/kmsg" root/dev/kmsg
	ln "$@" "$outside/run" root/run
	ln "$@" "$outside/override" root/sys/bus/pci/devices/$gpu/driver_override
	ln "$@" "$outside/override" root/sys/bus/pci/drivers_probe
	apply 4
	untouched && grep -q '^preclaim: done: ' err
	ok "nothing outside is written to by $kind links"
	mkdir -p "$top_of/run" && : >"$top_of/kmsg" && : >"$top_of/override"
	apply 0 && grep -qx none "$top_of/override" && grep -q 'preclaim: done: ' "$top_of/kmsg" && [ ! -s err ] && [ -s "$top_of/run/preclaim/status" ] && untouched
	ok 'it is written to where they lead in the tree'
done
# A read of a FIFO that nobody writes to hangs, as one of an attribute does whose device is locked.
machine 'vfs 05:00.0=3' server-sriov
hung="root/sys/bus/pci/devices/0000:05:00.0/sriov_numvfs root/sys/bus/pci/devices/0000:05:10.0/driver_override"
# shellcheck disable=SC2086 # a list of words
rm $hung && mkfifo $hung || exit
ended=0
for command in check 'check --image' 'check --json' list 'list --json' status 'status --json'; do
	# shellcheck disable=SC2086 # a list of words
	timeout 5 "$preclaim" $command --root root >"out $command" 2>err
	[ $? -le 1 ] && grep -q '^preclaim: 0000:05:00.0: sriov_numvfs: reading it takes long' err && ended=$((ended + 1))
done
[ $ended = 7 ]
ok 'no command waits for a read that hangs, and each says so'
grep -q '^5	0000:05:00.0	.*	?/7	' 'out list' && grep -q '^9	0000:05:10.0	.*	?	' 'out list' && grep -q '	? VFs	NO	' 'out status' &&
	grep -qF '0000:05:00.0 [8086:10c9] vfs 3, has ? of 7 (' 'out check'
ok 'what they do not know they show as such'
# those that read it can end
for fifo in $hung; do : 1<>"$fifo"; done
machine ''

[ -s "$top/conf/preclaim.conf" ] && ! grep -vE '^[[:space:]]*(#|$)' "$top/conf/preclaim.conf" >err
ok 'the example configuration changes nothing as it is'
sed -n 's/^#\([a-z]\)/\1/p' "$top/conf/preclaim.conf" >rules
"$preclaim" check --root root --config rules --cmdline '' >out 2>err
[ $? -le 1 ] && [ "$(wc -l <rules)" -ge 15 ]
ok 'each example in it can be parsed'

"$preclaim" --version | grep -qx "preclaim $(cat "$top/VERSION")" && "$preclaim" --help | grep -q '^Usage: preclaim '
ok 'it tells its version and its usage'

end
