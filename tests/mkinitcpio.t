#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What hook/mkinitcpio puts into an image, and when it refuses to. Debian has no
# mkinitcpio: a stand-in has the functions and variables that mkinitcpio(8) promises to
# hooks, and bash reads the hook as mkinitcpio does. In a Debian 12 system, and no boot.

set -u
[ "$(id -u)" = 0 ] || exec sudo -n "$0"
# shellcheck source-path=SCRIPTDIR source=../test-qemu/lib.sh
. "$(dirname "$0")/../test-qemu/lib.sh"
# shellcheck source-path=SCRIPTDIR source=images.sh
. "$top/tests/images.sh"

# begin: a case, with its rules on standard input; no device is to be seen
begin() {
	rm -rf "$dir/etc/preclaim.d" "$dir/proc" "$dir/sys" "$dir/unpacked"
	mkdir -p "$dir/etc/preclaim.d" "$dir/proc" "$dir/sys" "$dir/unpacked/hooks"
	cat >"$dir/etc/preclaim.conf"
}

# The stand-in. Each function does what it says in mkinitcpio(8); modules are only noted.
stand_in() {
	cat >"$dir/mkinitcpio" <<-'END'
		BUILDROOT=/unpacked
		die() { printf "==> ERROR: $1\n" "${@:2}" >&2; exit 1; }
		add_module() { [[ $# == 1 ]] && echo "$1" >>/unpacked/modules; }
		add_file() { [[ $# == 1 && -f $1 ]] && install -D -m 644 "$1" "$BUILDROOT$1"; }
		add_symlink() { [[ $# == 2 ]] && mkdir -p "$BUILDROOT${1%/*}" && ln -s "$2" "$BUILDROOT$1"; }
		add_runscript() { install -D -m 755 "/usr/lib/initcpio/hooks/${BASH_SOURCE[1]##*/}" -t "$BUILDROOT/hooks"; }
		. /usr/lib/initcpio/install/preclaim
		build
		echo 'built'
	END
}

# build [KERNEL]
build() {
	in_root bookworm env KERNELVERSION="${1:-$version}" bash /mkinitcpio >"$dir/out" 2>"$dir/err"
}
is_built() { [ ! -s "$dir/err" ] && says out built; }

what_is_built() {
	begin <<-'END'
		claim 10de:2204
		claim 01:00.0 driver=pci-stub
	END
	build && is_built && same "$dir/usr/sbin/preclaim" "$dir/unpacked/usr/sbin/preclaim" &&
		same "$dir/etc/preclaim.conf" "$dir/unpacked/etc/preclaim.conf" &&
		same "$dir/usr/lib/udev/rules.d/65-preclaim.rules" "$dir/unpacked/usr/lib/udev/rules.d/65-preclaim.rules"
	ok 'the image has program, rules and udev rules'
	printf '%s\n' 'vfio_pci?' 'vfio_iommu_type1?' 'pci-stub?' | same - "$dir/unpacked/modules"
	ok 'the image has VFIO and the driver of a rule'
	[ -x "$dir/unpacked/hooks/preclaim" ] &&
		same "$top/hook/mkinitcpio/hooks/preclaim" "$dir/unpacked/hooks/preclaim"
	ok 'the image has the early hook'
	same "$top/conf/preclaim-initramfs.service" \
		"$dir/unpacked/usr/lib/systemd/system/preclaim-initramfs.service" &&
		[ "$(readlink "$dir/unpacked/usr/lib/systemd/system/sysinit.target.wants/preclaim-initramfs.service")" = \
			/usr/lib/systemd/system/preclaim-initramfs.service ]
	ok 'the image has the unit for systemd, and sysinit.target wants it'
	begin </dev/null
	build none && is_built && [ ! -e "$dir/unpacked/modules" ]
	ok 'an image without a kernel has no modules'
}

what_is_refused() {
	begin <<-'END'
		claim 10de:2204
		claim 10de:22O4
	END
	! build && ! says out built && grep -q '^preclaim: /etc/preclaim.conf:2:14: ' "$dir/err" &&
		says err '==> ERROR: preclaim: no image is made with these rules'
	ok 'mkinitcpio is stopped by rules that cannot be parsed, with file, line and column'
	echo 'claim 01:00.0 driver=no-such-driver' >"$dir/etc/preclaim.conf"
	! build && ! says out built && grep -q "kernel $version has no driver no-such-driver" "$dir/err"
	ok 'mkinitcpio is stopped where the kernel lacks a driver'
	begin </dev/null
	touch "$dir/unpacked/hooks/udev"
	! build && ! says out built &&
		says err '==> ERROR: preclaim: it has to come before udev in HOOKS, see mkinitcpio.conf'
	ok 'mkinitcpio is stopped where udev comes first in HOOKS'
}

# As mkinitcpio's init does: a shell reads it and calls the function.
what_is_run() {
	begin </dev/null
	build
	# Not in place: the file has more than one name.
	rm "$dir/usr/sbin/preclaim"
	cat >"$dir/usr/sbin/preclaim" <<-'END'
		#!/bin/sh
		echo "$0 $*"
		exit 1
	END
	chmod 755 "$dir/usr/sbin/preclaim"
	[ "$(in_root bookworm sh -c '. /unpacked/hooks/preclaim; run_earlyhook; echo "goes on"' | tr '\n' ';')" = \
		'/usr/sbin/preclaim apply;goes on;' ]
	ok 'the early hook runs preclaim, and the boot goes on whatever it returns'
}

debian=bookworm about=bookworm
copy $debian
dir=$roots/$debian
version=$(kernel_version 6.1) || die "the $debian root has no kernel"
stand_in
what_is_built
what_is_refused
what_is_run
end
