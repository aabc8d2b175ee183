#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the Debian package leaves behind in a Debian 12 and a Debian 13 that have it upgraded, removed
# and purged. Cases deb-* of test-qemu boot these.

set -u
# shellcheck source-path=SCRIPTDIR source=../test-qemu/lib.sh
. "$(dirname "$0")/../test-qemu/lib.sh"
# shellcheck source-path=SCRIPTDIR source=package.sh
. "$top/tests/package.sh"

for system in 12:6.1 13:6.12; do
	states=${system#*:}-deb
	debian="Debian ${system%:*}"
	"$top/test-qemu/image" "$states-purged" >"$log" 2>&1
	ok "$debian: the package is installed, upgraded, removed and purged"
	has_it "$debian" "$states-upgraded" upgraded
	for state in upgraded removed; do
		on_disk "$states-$state" /etc/preclaim.conf | cmp - "$top/test-qemu/system/preclaim.conf" >"$log"
		ok "$debian, $state: edited rules are kept"
	done
	for state in removed purged; do
		in_image "$states-$state" >"$log"
		grep -q scripts/init-top/ORDER "$log" && ! grep -q preclaim "$log"
		ok "$debian, $state: the image has nothing of preclaim"
	done
	diff "$images/$states.before" "$images/$states.after" | grep '^[<>]' | grep -v ' \./var/log/dpkg.log ' >"$log"
	grep -qF ./etc/fstab "$images/$states.before" && grep -qF ./etc/fstab "$images/$states.after" && [ ! -s "$log" ]
	ok "$debian, purged: every file is as it was before the package came, apart from dpkg's log"
done
end
