# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Claims PCI devices before any driver of the host's is loaded, in an image without
# systemd. It reports to the kernel log by itself; dracut goes on whatever it returns.
/usr/sbin/preclaim apply
