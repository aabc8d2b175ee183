#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The Debian package of two releases: what is in it, and a Debian 12 and a Debian 13 that have it
# installed. Cases deb-* of test-qemu boot these; deb-states.t has the rest of its life, release.t
# other builds.

set -u
# shellcheck source-path=SCRIPTDIR source=../test-qemu/lib.sh
. "$(dirname "$0")/../test-qemu/lib.sh"
# shellcheck source-path=SCRIPTDIR source=package.sh
. "$top/tests/package.sh"

for system in bookworm:12:6.1 trixie:13:6.12; do
	suite=${system%%:*} kernel=${system##*:}
	debian=${system#*:}
	debian="Debian ${debian%:*}"
	built "$suite" "$kernel"
	ok "$suite-amd64: the package is built in a clean chroot, and installed in $debian"
	check_native "$suite"
	has_it "$debian" "$kernel-deb-installed" installed
done
end
