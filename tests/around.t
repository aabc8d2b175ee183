#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# `apply ADDRESS` reads only what matters to that device. Whatever the machine and the
# rules, what it plans is the same as where all devices are read, as a rule by group makes it.

# shellcheck source-path=SCRIPTDIR source=points.sh
. "$(dirname "$0")/points.sh"

cd "$scratch" || exit

# plans FILE: the plan for each device of the machine, and what is said about it
plans() {
	for device in root/sys/bus/pci/devices/*; do
		echo "@ ${device##*/}"
		"$preclaim" apply -n --root root --config "$1" "${device##*/}" 2>&1
		echo "= $?"
	done
}

for manifest in "$top"/tests/machines/*.manifest; do
	machine=${manifest##*/}
	rm -rf root planned
	: >err
	mkdir root || exit
	"$top/tests/mktree" "$manifest" root || exit
	mkdir -p root/etc root/proc
	: >root/proc/cmdline
	set -- root/sys/bus/pci/devices/*
	[ -e "$1" ] || continue
	some=$(for device; do echo "${device##*/}"; done | awk 'NR % 3 == 1')
	set -- claim\ class=02 claim\ class=03 claim\ class=0108 'vfs class=02=2' "claim $(echo "$some" | tr '\n' ' ')" \
		"claim *:*
keep $(echo "$some" | tr '\n' ' ')" 'claim *:* driver=auto
keep vf0-1@01:00.0'
	round=0
	for rules; do
		# Each policy, with and without what an image knows: something that is needed and
		# there, and something that has moved.
		case $((round % 3)) in 0) policy=claim ;; 1) policy=refuse ;; *) policy=warn ;; esac
		rm -f root/etc/preclaim.image
		if [ $((round % 2)) = 1 ]; then
			echo "$some" | head -n 1 | sed 's/.*/protect & *:* carries \//' >root/etc/preclaim.image
			echo "$some" | tail -n 1 | sed 's/.*/pin & 8086:1234/' >>root/etc/preclaim.image
		fi
		round=$((round + 1))
		printf '%s\n' "$rules" "group $policy" >rules
		plans rules >few
		echo 'keep group@ffff:1f:00.0' >>rules
		plans rules >all
		cat few >>planned
		diff few all >differ || { printf '%s\n' "$rules" "group $policy:" && cat differ; } >>err
	done
	# Where nothing was planned nothing has been compared.
	grep -q ' claim ' planned && [ ! -s err ]
	ok "$machine: what is planned for a device is the same, whether few are read or all"
done

# What other runs have told of devices that such a run does not look at stays as it is, and
# costs nothing; a run that looks at all drops those that are gone.
rm -rf root
# More than are handed over together, too.
"$top/tests/bench/tree" root 300 10 || exit
one=$(sed -n 10p root/addresses)
gone='0000:7f:00.0 8086:1234 claim claimed vfio-pci 9 /etc/preclaim.conf:9 80'
mkdir -p root/run/preclaim
echo "$gone" >root/run/preclaim/status
"$preclaim" apply --root root "$one" 2>/dev/null
cp root/run/preclaim/status err
grep -q "^$one .* claimed " err && grep -qxF "$gone" err
ok 'a run for one device leaves the status of others alone'
"$preclaim" apply --root root 2>/dev/null
cp root/run/preclaim/status err
grep -q "^$one .* claimed " err && ! grep -qxF "$gone" err
ok 'a run for all devices drops the status of what is gone'
[ "$(grep -c ' claimed ' err)" = 300 ] && [ "$(grep -lx none root/sys/bus/pci/devices/*/driver_override | wc -l)" = 300 ]
ok 'all of 300 devices are claimed by one run'
end
