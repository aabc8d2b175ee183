# shellcheck shell=sh disable=SC2154
# SPDX-License-Identifier: GPL-2.0-or-later
#
# dracut module for the test images: the report, and when it is made.

install() {
	inst_multiple sh cat dmesg readlink sleep sync udevadm
	inst_script "$moddir/report" /usr/lib/preclaim-test/report
	dracut_need_initqueue
	inst_hook initqueue/settled 00 "$moddir/settled.sh"
}
