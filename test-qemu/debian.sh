# shellcheck shell=sh disable=SC2154
# SPDX-License-Identifier: GPL-2.0-or-later
#
# For the cases of a complete Debian: as `make install` has made it, and in each state of the
# life of the Debian package.

# complete_system KERNEL IMAGE: the machine
complete_system() {
	kernel "$1"
	image "$2"
	patience 600
	device 01:00.0 virtio-blk-pci drive=root
	device 02:00.0 e1000e
	device 03:00.0 e1000e
	device 04:00.0 nvme
	qemu_arg -drive "if=none,id=root,format=raw,snapshot=on,file=$images/$2.ext4"
	cmdline root=/dev/vda
	host 01:00.0 virtio-pci
	host 03:00.0 e1000e
	# It is the real root that reports.
	log 'systemd\[1\]: Queued start job for default target'
}

# by_make_install KERNEL
by_make_install() {
	complete_system "$1" "$1-system"
	device 05:00.0 nvme
	cmdline preclaim.keep=05:00.0

	claimed 02:00.0 vfio-pci
	claimed 04:00.0 vfio-pci
	host 05:00.0 nvme
	log 'preclaim: done: 2 claimed, 0 VFs, 0 refused, 0 failed'
	status '^0000:02:00\.0 8086:10d3 claim claimed vfio-pci '
	status '^0000:04:00\.0 1b36:0010 claim claimed vfio-pci '
	# Its rules in the files are all that it has, but for one that takes none.
	log 'test: preclaim\.service with rules: active'
	log 'test: status: .*;0000:02:00\.0 8086:10d3 claim vfio-pci claimed vfio-pci yes claim 8086:10d3@02:00\.0, /etc/preclaim.conf:3;'
	nolog 'test: status: .* that this boot goes by'
	# Without them in the files the boot goes by them all the same.
	log 'test: preclaim\.service without rules: active'
	log 'test: status without rules: .*;0000:02:00\.0 8086:10d3 claim vfio-pci claimed vfio-pci yes claim 8086:10d3@02:00\.0, /etc/preclaim.conf:3;'
	log 'test: status without rules: .*;preclaim: the rules in the files are not those that this boot goes by'
	# The service had nothing to do, and the kernel's log has all that there was.
	loglines 1 'preclaim: done: '
}

# by_package KERNEL installed|upgraded|removed|purged
by_package() {
	complete_system "$1" "$1-deb-$2"
	version=$(sed 's/[.]/\\./g' "$top/VERSION")
	case $2 in
	installed | upgraded)
		claimed 02:00.0 vfio-pci
		claimed 04:00.0 vfio-pci
		log 'preclaim: done: 2 claimed, 0 VFs, 0 refused, 0 failed'
		log 'test: preclaim\.service with rules: active'
		[ "$2" = installed ] || version="$version\\+next"
		log "test: version: preclaim $version\$"
		log 'test: package: installed: '
		;;
	removed | purged)
		host 02:00.0 e1000e
		host 04:00.0 nvme
		nolog '^<[0-7]>preclaim: '
		log 'test: version: $'
		case $2 in
		removed) log 'test: package: config-files: .*install .*upgrade .*remove $' ;;
		purged) log 'test: package: none: .*install .*upgrade .*purge $' ;;
		esac
		;;
	esac
}

# guard KERNEL ROOT-DISK RULES: the machine of a case that proves a guard to the end of the boot. It has
# the rules in its image and in its real root.
guard() {
	kernel "$1"
	image "$1-system"
	patience 600
	qemu_arg -drive "if=none,id=root,format=raw,snapshot=on,file=$images/$1-system.ext4"
	cmdline "root=$2 rw"
	conf "$3"
	printf '%s\n' "$3" | in_real_root etc/preclaim.conf
	stand_still
	log 'systemd\[1\]: Queued start job for default target'
	log 'test: preclaim\.service with rules: '
}

# stand_still: in the real root all devices are announced once more, as the upgrade of any package may
# have it done, and then half a minute goes by.
stand_still() {
	guest <<-'END'
		udevadm trigger --action=add
		udevadm settle
		sleep 30
	END
}
