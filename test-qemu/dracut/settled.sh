# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The end of a test boot: the report, and the switch. dracut runs this when udev has
# settled, so host drivers have had their chance, and still waits for the root file system.

# Drivers may probe after modprobe has returned; settle once more, for what they add.
sleep 0.2
udevadm settle
/usr/lib/preclaim-test/report
sync
echo o >/proc/sysrq-trigger
sleep 60
