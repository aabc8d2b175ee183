#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# driverctl.sh ADDRESS...: driverctl takes one device at a time.

for device; do
	driverctl --nosave set-override "$device" vfio-pci || exit
done
