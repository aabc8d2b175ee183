# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# dracut module: puts preclaim, its rules and the modules of the drivers that they ask for
# into the image, generic or host-only, and has it run before any driver is loaded.
# Of a module that fails, dracut takes no notice: exit stops it, since it runs this file
# in its own shell.
# shellcheck disable=SC2154 # dracut's variables

check() { return 0; }

depends() { return 0; }

install() {
	set -- "$initdir"
	[ -n "${hostonly:-}" ] || set -- "$initdir" any
	/usr/lib/preclaim/image files "$@" || {
		dfatal 'preclaim: no image is made with these rules'
		exit 1
	}
	inst_multiple modprobe

	# Drivers are loaded not by udev alone: rd.driver.pre and force_drivers have it done by
	# a cmdline hook, 01, or where systemd is the init, by dracut-pre-udev.service.
	if dracut_module_included systemd; then
		unit=$systemdsystemunitdir/preclaim-initramfs.service
		inst_simple "$unit"
		mkdir -p "$initdir$systemdsystemunitdir/sysinit.target.wants"
		ln_r "$unit" "$systemdsystemunitdir/sysinit.target.wants/${unit##*/}"
	else
		inst_hook cmdline 00 "$moddir/preclaim.sh"
	fi
}

installkernel() {
	set -- "$kernel"
	[ -n "${hostonly:-}" ] || set -- "$kernel" any
	modules=$(/usr/lib/preclaim/image modules "$@") || {
		dfatal "preclaim: no image is made for kernel $kernel with these rules"
		exit 1
	}
	# Host-only images, too, are to have modules that this host has not loaded yet.
	# shellcheck disable=SC2086 # a list of words
	[ -z "$modules" ] || hostonly='' instmods $modules
}
