#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# vfs.sh COUNT PF...: the usual way to VFs for guests. They are made, the host's VF driver
# takes each, and then each is taken from it again.

count=$1
shift
status=0
for pf; do
	cd "/sys/bus/pci/devices/$pf" || exit
	echo "$count" >sriov_numvfs
	for vf in virtfn*; do
		cd -P "/sys/bus/pci/devices/$pf/$vf" || exit
		address=${PWD##*/}
		echo vfio-pci >driver_override
		[ ! -e driver ] || echo "$address" >driver/unbind
		echo "$address" >/sys/bus/pci/drivers_probe
		[ -e "/sys/bus/pci/drivers/vfio-pci/$address" ] || status=1
	done
done
exit $status
