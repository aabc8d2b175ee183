#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# claim.sh ADDRESS... | class CLASS: what preclaim is compared with: devices claimed for
# vfio-pci by a script in the image, written with care. Overrides first, nothing started
# but modprobe, a line in the log for each device that the kernel shows as bound.

cd /sys/bus/pci/devices || exit
if [ "$1" = class ]; then
	wanted=$2
	set --
	for device in *; do
		read -r class <"$device/class"
		case $class in "0x$wanted"*) set -- "$@" "$device" ;; esac
	done
fi

for device; do
	echo vfio-pci >"$device/driver_override"
done
for device; do
	[ ! -e "$device/driver" ] || [ -e "../drivers/vfio-pci/$device" ] || echo "$device" >"$device/driver/unbind"
done
[ -e ../drivers/vfio-pci ] || modprobe -q vfio-pci
status=0
for device; do
	[ -e "../drivers/vfio-pci/$device" ] || echo "$device" >../drivers_probe
	if [ -e "../drivers/vfio-pci/$device" ]; then
		echo "<6>claim.sh: $device: claimed" >/dev/kmsg
	else
		echo "<3>claim.sh: $device: not claimed" >/dev/kmsg
		status=1
	fi
done
exit $status
