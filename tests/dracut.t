#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the real dracut makes of hook/dracut in a Debian 12 and a Debian 13 system: images
# are unpacked and looked at, none is booted (that is test-qemu/cases/dracut-*). What
# hook/image does for all makers of images is seen in hook.t; here is what dracut adds.

set -u
[ "$(id -u)" = 0 ] || exec sudo -n "$0"
# shellcheck source-path=SCRIPTDIR source=../test-qemu/lib.sh
. "$(dirname "$0")/../test-qemu/lib.sh"
# shellcheck source-path=SCRIPTDIR source=images.sh
. "$top/tests/images.sh"

# begin ROOT: a case, with its rules on standard input; no device is to be seen
begin() {
	debian=$1 about=$1 dir=$roots/$1
	rm -rf "$dir/etc/preclaim.d" "$dir/proc" "$dir/sys" "$dir/image" "$dir/unpacked"
	mkdir "$dir/etc/preclaim.d" "$dir/proc" "$dir/sys"
	cat >"$dir/etc/preclaim.conf"
}

machine() { "$top/tests/mktree" "$top/tests/machines/$1.manifest" "$dir" || exit; }

# make_image VERSION MODULES [OPTION...]: makes /image of these dracut modules and unpacks
# it. A status of dracut's other than 0 is returned.
make_image() {
	version=$1 modules=$2
	shift 2
	in_root_with_proc "$debian" dracut --force "$@" --modules "$modules" --no-compress \
		--no-early-microcode --kver "$version" /image >"$dir/out" 2>"$dir/err" || return
	unpack /image
}
unpack() {
	rm -rf "$dir/unpacked"
	mkdir "$dir/unpacked"
	(cd "$dir/unpacked" && cpio --quiet -id <"$dir$1")
}

generic_and_hostonly() {
	begin "$1" <<-'END'
		claim 10de:2204
		claim 01:00.0 driver=pci-stub
	END
	echo 'keep 01:00.1' >"$dir/etc/preclaim.d/10.conf"
	for kind in --no-hostonly --hostonly; do
		make_image "$2" preclaim $kind &&
			same "$dir/usr/sbin/preclaim" "$dir/unpacked/usr/sbin/preclaim" &&
			same "$dir/etc/preclaim.conf" "$dir/unpacked/etc/preclaim.conf" &&
			same "$dir/etc/preclaim.d/10.conf" "$dir/unpacked/etc/preclaim.d/10.conf" &&
			same "$dir/usr/lib/udev/rules.d/65-preclaim.rules" \
				"$dir/unpacked/usr/lib/udev/rules.d/65-preclaim.rules" &&
			[ -x "$dir/unpacked/usr/sbin/modprobe" ]
		ok "$kind: the image has program, rules and udev rules"
		has_modules "$2" vfio_pci vfio_iommu_type1 pci_stub
		ok "$kind: the image has VFIO and the driver of a rule"
		grep -q '^unknown storage no PCI device was to be seen ' "$dir/unpacked/etc/preclaim.image"
		ok "$kind: where no device is to be seen the image says that nothing is known, and is made"
	done
}

# server-sriov: PF 05:00.0 is an igb. server-four-nvme: 14e4:165f among its devices.
machines() {
	begin "$1" <<-'END'
		vfs 05:00.0=3
		claim 05:00.1 driver=auto
	END
	cat >"$dir/etc/modprobe.d/test.conf" <<-'END'
		alias vfio_pci:v000014E4d0000165Fsv*sd*bc*sc*i* uio_pci_generic
		alias vfio_pci:v00008086d000010C9sv*sd*bc*sc*i* pci_pf_stub
	END
	machine server-sriov
	make_image "$2" preclaim --hostonly && grep -q '^pin 0000:05:00.0 8086:' "$dir/unpacked/etc/preclaim.image"
	ok 'the image knows what is at the places of rules'
	! grep -q '^unknown .* the image is for many machines' "$dir/unpacked/etc/preclaim.image"
	ok 'a host-only image is for this machine'
	has_modules "$2" igb pci_pf_stub && lacks_modules uio_pci_generic
	ok 'a host-only image has the drivers of PFs, and the variant drivers for devices that are there'
	make_image "$2" preclaim --no-hostonly && has_modules "$2" igb pci_pf_stub uio_pci_generic
	ok 'a generic image has every variant driver that driver=auto might choose'
	printf 'unknown %s the image is for many machines\n' network storage usb >"$dir/expected"
	grep ' many machines$' "$dir/unpacked/etc/preclaim.image" | same - "$dir/expected" &&
		grep -q '^pin 0000:05:00.0 8086:' "$dir/unpacked/etc/preclaim.image"
	ok 'a generic image knows nothing of the machines that it is for'
	rm "$dir/etc/modprobe.d/test.conf"
}

# What starts it: a unit in the image of which systemd is the init, else the first of all hooks.
start() {
	begin "$1" </dev/null
	make_image "$2" 'systemd-initrd preclaim' --no-hostonly &&
		[ -L "$dir/unpacked/usr/lib/systemd/system/sysinit.target.wants/preclaim-initramfs.service" ] &&
		same "$top/conf/preclaim-initramfs.service" \
			"$dir/unpacked/usr/lib/systemd/system/sysinit.target.wants/preclaim-initramfs.service" &&
		[ ! -e "$dir/unpacked/usr/lib/dracut/hooks/cmdline/00-preclaim.sh" ]
	ok 'with systemd there is a unit and no hook'
	make_image "$2" 'base kernel-modules preclaim' --no-hostonly --drivers pci_stub &&
		hooks=$(find "$dir/unpacked" -path '*/dracut/hooks/cmdline/*.sh' | sort) &&
		same "$top/hook/dracut/preclaim.sh" "$(echo "$hooks" | head -n 1)" &&
		echo "$hooks" | grep -q parse-kernel.sh &&
		[ -z "$(find "$dir/unpacked" -name 'preclaim*.service')" ]
	ok 'without systemd there is no unit, and a hook that comes before those that load drivers'
}

bad_rules() {
	begin "$1" <<-'END'
		claim 10de:2204
		claim 10de:22O4
	END
	echo 'kleep 01:00.1' >"$dir/etc/preclaim.d/10.conf"
	echo 'the old image' >"$dir/image"
	! make_image "$2" preclaim && [ "$(cat "$dir/image")" = 'the old image' ] && grep -q '^preclaim: ' "$dir/err"
	ok 'dracut fails with rules that cannot be parsed, and leaves the old image in place'
	grep -q '^preclaim: /etc/preclaim.conf:2:14: ' "$dir/err" &&
		grep -q '^preclaim: /etc/preclaim.d/10.conf:1:1: ' "$dir/err" &&
		grep -q 'preclaim: no image is made with these rules' "$dir/err"
	ok 'each error is told with file, line and column'

	rm "$dir/etc/preclaim.d/10.conf"
	echo 'claim 01:00.0 driver=no-such-driver' >"$dir/etc/preclaim.conf"
	! make_image "$2" preclaim && [ "$(cat "$dir/image")" = 'the old image' ] && says err \
		"E: preclaim: kernel $2 has no driver no-such-driver, which a rule names: neither as module nor built in"
	ok 'dracut fails where the kernel lacks a driver, and leaves the old image in place'
}

# As a user would do it; the system's dracut makes small images.
by_make_install() {
	begin "$1" <<-'END'
		claim 10de:2204
	END
	printf '%s\n' 'dracutmodules=" preclaim "' 'compress=cat' 'early_microcode=no' \
		>"$dir/etc/dracut.conf.d/test.conf"
	mkdir -p "$dir/usr/src/preclaim/build"
	for file in Makefile VERSION hook scripts conf man src build/preclaim; do
		cp -a "$top/$file" "$dir/usr/src/preclaim/${file%/*}"
	done
	in_root_with_proc "$debian" make -C /usr/src/preclaim -o build/preclaim install \
		>"$dir/out" 2>"$dir/err" && unpack "/boot/initrd.img-$2" &&
		same "$dir/usr/sbin/preclaim" "$dir/unpacked/usr/sbin/preclaim" &&
		same "$dir/etc/preclaim.conf" "$dir/unpacked/etc/preclaim.conf"
	ok 'make install has dracut renew the image'
	rm -r "$dir/etc/dracut.conf.d/test.conf" "$dir/usr/src/preclaim"
}

for kernel in 6.1-dracut 6.12-dracut; do
	debian=$(kernel_root $kernel)
	copy "$debian"
	version=$(kernel_version $kernel) || die "the $debian root has no kernel"
	for case in generic_and_hostonly machines start bad_rules by_make_install; do $case "$debian" "$version"; done
done
end
