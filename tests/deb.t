#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The Debian package: built in clean chroots of two releases, what is in it, and what it leaves
# behind in a Debian 12 and a Debian 13. Cases deb-* of test-qemu boot these; release.t has
# what is looked at before a release.

set -u
# shellcheck source-path=SCRIPTDIR source=../test-qemu/lib.sh
. "$(dirname "$0")/../test-qemu/lib.sh"
# shellcheck source-path=SCRIPTDIR source=package.sh
. "$top/tests/package.sh"

check_native bookworm
check_native trixie
build bookworm amd64 again-amd64 &&
	cmp "$(deb bookworm-amd64)" "$(deb again-amd64)" >"$log"
ok 'built twice, at other times and places, the package is the same to the byte'

# --- the package's life ------------------------------------------------------
# on_disk IMAGE PATH: that file in the system of a state
on_disk() { debugfs -R "cat $2" "$images/$1.ext4" 2>"$log"; }
is_on_disk() { debugfs -R "stat $2" "$images/$1.ext4" 2>&1 | grep -q '^Inode: '; }

# in_image IMAGE: the names in the state's initramfs, as the system's own tool has them
in_image() (
	made=/tmp/preclaim-deb.initrd
	case $1 in 6.1-*) root=bookworm ;; *) root=trixie ;; esac
	as_root cp "$images/$1.initrd" "$roots/$root$made"
	in_root "$root" lsinitramfs "$made"
	as_root rm -f "$roots/$root$made"
)

enabled=/etc/systemd/system/multi-user.target.wants/preclaim.service
for system in 12:6.1 13:6.12; do
	states=${system#*:}-deb
	debian="Debian ${system%:*}"
	"$top/test-qemu/image" "$states-purged" >"$log" 2>&1
	ok "$debian: the package is installed, upgraded, removed and purged"
	for state in installed upgraded; do
		in_image "$states-$state" >"$log"
		grep -qx usr/sbin/preclaim "$log" && grep -qx scripts/init-top/preclaim "$log" &&
			grep -qx 'usr/lib/udev/rules.d/65-preclaim.rules' "$log"
		ok "$debian, $state: the image has preclaim"
		is_on_disk "$states-$state" "$enabled"
		ok "$debian, $state: the unit is enabled"
	done
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
