#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# world.t: the shipped binary where the world is not as it should be. A machine's tree is its
# "/", in a mount namespace of its own: /sys read-only as in a container, without /proc, with
# a full /run, with a /dev/kmsg that refuses; without modprobe, and with one that fails or
# hangs; runs side by side, and runs that are killed at any moment. Behind the tree is no
# kernel: a modprobe that binds what waits for it is played by a script.

if [ -z "${PRECLAIM_WORLD:-}" ]; then
	PRECLAIM_WORLD=1 exec unshare -rm "$0" "$@" || exit
fi

# shellcheck source-path=SCRIPTDIR source=points.sh
. "$(dirname "$0")/points.sh"

trap 'cd / && umount -R "$scratch"; rmdir "$scratch"' EXIT
mount -t tmpfs world "$scratch" || exit
cd "$scratch" || exit
gpu=0000:01:00.0

said() {
	sed 's/^/err: /' err
	[ ! -s root/dev/kmsg ] || sed 's/^/kmsg: /' root/dev/kmsg
}

# What scripts need in an initramfs: a shell, commands, and their libraries
for program in sh cat ln mkdir sleep; do
	file=$(command -v $program)
	for file in "$file" $(ldd "$file" | grep -o '/[^ ]*'); do
		install -D "$file" "base$file"
	done
done
[ -e base/bin/sh ] || install -D "$(command -v sh)" base/bin/sh
install "$preclaim" base/preclaim

# A fresh initramfs in root/, with vfio-pci as a module; its rules are the argument.
image() {
	umount root/run root/sys root/dev/kmsg 2>/dev/null
	rm -rf root
	mkdir root || exit
	"$top/tests/mktree" "$top/tests/machines/desktop-one-gpu.manifest" root || exit
	mkdir -p root/etc root/run root/dev root/proc/sys/kernel root/sbin
	printf '%s\n' "$1" >root/etc/preclaim.conf
	: >root/proc/cmdline
	printf '7\t4\t1\t7\n' >root/proc/sys/kernel/printk
	touch root/init root/dev/kmsg
	cp -al base/. root
	: >err
	cat >root/sbin/modprobe <<-'END'
		#!/bin/sh
		echo "$*" >>/modprobe.log
		[ "$2" = vfio-pci ] || exit 0
		for d in sys/bus/pci/devices/*; do
			case $(cat "$d/driver_override") in
			vfio-pci) ln -s ../../../../bus/pci/drivers/vfio-pci "$d/driver" 2>/dev/null ;;
			esac
		done
		# last: a driver that is there is not waited for
		mkdir -p sys/bus/pci/drivers/vfio-pci
		exit 0
	END
	chmod 755 root/sbin/modprobe
}

# apply STATUS [ARGUMENT...]: run it, expecting that exit status
apply() {
	want=$1
	shift
	timeout 30 chroot root /preclaim apply "$@" >out 2>err
	got=$?
	[ "$got" = "$want" ] || { echo "exit status $got, not $want" >>err; false; }
}

override() { cat "root/sys/bus/pci/devices/$1/driver_override"; }
has_claimed() {
	for f in 0 1 2 3; do
		[ "$(override 0000:01:00.$f)" = vfio-pci ] && [ -e "root/sys/bus/pci/devices/0000:01:00.$f/driver" ] || return
	done
}

image 'claim 01:00'
apply 0 && has_claimed && [ "$(head -n 1 root/modprobe.log)" = '-q vfio-pci' ]
ok 'devices are claimed after modprobe has loaded the driver'
before=$(cat root/modprobe.log)
apply 0 && [ "$(cat root/modprobe.log)" = "$before" ]
ok 'a second run has nothing to do'

# modprobe_is SCRIPT
modprobe_is() { printf '#!/bin/sh\n%s\n' "$1" >root/sbin/modprobe; }
image "claim $gpu"
rm root/sbin/modprobe
apply 1 && grep -q '^<3>preclaim: module vfio-pci: cannot load it: there is no modprobe' root/dev/kmsg &&
	grep -q "^<3>preclaim: $gpu .*: not claimed: there is no driver vfio-pci; held without a driver" root/dev/kmsg
ok 'without modprobe the failure is told and the device is held'
image "on-failure release
claim $gpu"
modprobe_is 'exit 1'
apply 1 && [ -z "$(override $gpu)" ] && grep -q '^<3>preclaim: module vfio-pci: modprobe failed (exit status 1)' root/dev/kmsg
ok 'where modprobe fails, with on-failure release the override is cleared'
image "timeout 1
claim $gpu"
modprobe_is 'echo $$ >/pid && exec sleep 20'
apply 1 && grep -q 'modprobe has not ended in time' root/dev/kmsg && tail -n 1 root/dev/kmsg | grep -q 'preclaim: done:'
ok 'a modprobe that hangs is not waited for beyond the timeout'
kill "$(cat root/pid)"
image "timeout 4
claim $gpu 44:00.0"
modprobe_is 'echo $$ >/pid && exec sleep 20'
start=$(date +%s)
apply 1 --wait && grep -q 'no device matches' root/dev/kmsg && [ $(($(date +%s) - start)) -lt 8 ]
ok 'nor is it where apply --wait has waited for devices before'
kill "$(cat root/pid)"
image "claim $gpu"
modprobe_is 'kill -9 $$'
apply 1 && grep -q '^<3>preclaim: module vfio-pci: modprobe failed (exit status 137)' root/dev/kmsg
ok 'a modprobe that was killed has failed'
image "claim $gpu"
: >root/sbin/modprobe
apply 1 && grep -q '^<3>preclaim: module vfio-pci: modprobe failed (exit status 127)' root/dev/kmsg
ok 'a modprobe that cannot be run has failed'

image 'claim 01:00'
mount --bind root/sys root/sys && mount -o remount,bind,ro root/sys
apply 4 && grep -q '^<3>preclaim: /sys: cannot write to it: Read-only file system (30)' root/dev/kmsg &&
	grep -q 'preclaim: done: 0 claimed' root/dev/kmsg && [ "$(override $gpu)" = '(null)' ]
ok 'with a read-only /sys nothing is tried, and the error says so'

image 'claim 01:00'
rm -r root/proc
apply 0 && has_claimed && [ "$(grep -c 'claimed by vfio-pci' root/dev/kmsg)" = 4 ]
ok 'without /proc devices are claimed'

image 'claim 01:00'
mount -t tmpfs -o size=4k,nr_inodes=2 full root/run && mkdir root/run/preclaim 2>err
apply 0 && has_claimed && grep -q '<4>preclaim: /run/preclaim/status: cannot write it: No space left on device (28)' root/dev/kmsg
ok 'with a full /run devices are claimed, and the warning says what could not be kept'
[ "$got" = 0 ] && [ -d root/run/preclaim ] && [ "$(ls -A root/run/preclaim)" = '' ]
ok 'and no half-written file is left in it'
umount root/run
apply 0 && [ "$(wc -l <root/run/preclaim/status)" = 4 ]
ok 'the next run, with room, keeps it'

image 'claim 01:00'
mount --bind /dev/full root/dev/kmsg
apply 0 && has_claimed && [ "$(grep -c '^preclaim: 0000:01:00.*claimed by vfio-pci' err)" = 4 ] && grep -q '^preclaim: done: 4 claimed' err
ok 'what /dev/kmsg refuses goes to standard error'

image 'claim 01:00'
chmod 000 root/etc/preclaim.conf
rm root/etc/preclaim.conf && mkdir root/etc/preclaim.conf
apply 4 && grep -q '<3>preclaim: /etc/preclaim.conf: cannot read it: Is a directory (21)' root/dev/kmsg
ok 'rules that cannot be read are an error, also from the system'

# side_by_side N: so many runs at once; their number that ended with 0
side_by_side() {
	: >ended
	for _ in $(seq "$1"); do
		{
			timeout 60 chroot root /preclaim apply 2>>err
			echo $? >>ended
		} &
	done
	wait
	grep -cx 0 ended
}
image 'claim 01:00'
[ "$(side_by_side 8)" = 8 ] && has_claimed
ok 'of eight runs side by side all end well'
[ "$(grep -c 'claimed by vfio-pci' root/dev/kmsg)" = 4 ] && [ "$(sort root/run/preclaim/status | cut -d ' ' -f 1 | uniq -c | grep -c '^ *1 ')" = 4 ]
ok 'one of them claims, and tells it; the others find it done'

image 'claim 01:00'
rmdir root/run && : >root/run
[ "$(side_by_side 8)" = 8 ] && has_claimed && ! grep -q 'not claimed' root/dev/kmsg
ok 'where nothing can be locked, runs side by side do no harm to each other'

seed=${PRECLAIM_SEED:-$(date +%s)}
echo "# seed $seed (PRECLAIM_SEED)"
kills=0
broken=0
delays=$(awk -v seed="$seed" 'BEGIN { srand(seed); for (i = 0; i < 30; i++) printf "%.4f ", rand() * 0.04 }')
for delay in $delays; do
	image 'claim 01:00'
	setsid chroot root /preclaim apply 2>err &
	pid=$!
	sleep "$delay"
	kill -KILL "-$pid" 2>/dev/null && kills=$((kills + 1))
	wait "$pid" 2>/dev/null
	apply 0 && has_claimed && [ "$(wc -l <root/run/preclaim/status)" = 4 ] || broken=$((broken + 1))
done
[ "$broken" = 0 ] && [ "$kills" -ge 5 ]
ok "whenever a run is killed, the next one does what is left ($kills of 30 were killed, $broken left broken)"

end
