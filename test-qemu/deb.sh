# shellcheck shell=sh disable=SC2154
# SPDX-License-Identifier: GPL-2.0-or-later
#
# For the cases of the Debian package: a complete Debian in each state of its life.

# deb_system KERNEL STATE: the machine, and what is true of it then
deb_system() {
	kernel "$1"
	image "$1-deb-$2"
	patience 600
	device 01:00.0 virtio-blk-pci drive=root
	device 02:00.0 e1000e
	device 03:00.0 e1000e
	device 04:00.0 nvme
	qemu_arg -drive "if=none,id=root,format=raw,snapshot=on,file=$images/$1-deb-$2.ext4"
	cmdline root=/dev/vda

	host 03:00.0 e1000e
	log 'systemd\[1\]: Queued start job for default target'
	version=$(sed 's/[.]/\\./g' "$top/VERSION")
	case $2 in
	installed | upgraded)
		claimed 02:00.0 vfio-pci
		claimed 04:00.0 vfio-pci
		log 'preclaim: done: 2 claimed, 0 VFs, 0 refused, 0 failed'
		log 'test: preclaim\.service with rules: active'
		[ "$2" = installed ] || version="$version\\+next"
		log "test: version: preclaim $version\$"
		;;
	removed | purged)
		host 02:00.0 e1000e
		host 04:00.0 nvme
		nolog '^<[0-7]>preclaim: '
		# The report was made, and there was nothing to ask.
		log 'test: version: $'
		;;
	esac
}
