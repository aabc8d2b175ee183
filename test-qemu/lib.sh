# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the boot tests share: places, privileges, the Debian roots and the emulator.
# Everything made is below build/; nothing outside it is written, apart from the
# packages that set-up installs.
# shellcheck disable=SC2034 # its users use them

top=$(cd "$(dirname "$0")/.." && pwd)
build=$top/build
roots=$build/roots
images=$build/images
export LC_ALL=C.UTF-8

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$*"; exit 1; }

# The roots are Debian systems with files of root's; everything else works as any user.
as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# in_root ROOT COMMAND...: runs it in that Debian system, with a clean environment.
# Nothing is mounted, so this works in containers too: making an image needs neither
# /proc nor /sys.
in_root() (
	root=$1
	shift
	as_root env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
		chroot "$roots/$root" "$@" </dev/null
)

# The same with a root that is a mount point, and with /proc, in a mount namespace of its
# own: dracut, being bash, reads /dev/fd, and makes no host-only image where nothing is mounted.
in_root_with_proc() (
	root=$1
	shift
	# shellcheck disable=SC2016 # for the inner shell
	as_root unshare --mount sh -ec '
		mount --bind "$1" "$1"
		mount -t proc proc "$1/proc"
		shift
		exec "$@"' - "$roots/$root" \
		env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
		chroot "$roots/$root" "$@" </dev/null
)

# The root and the kernel version of each kernel that the tests boot.
kernel_root() {
	case $1 in
	6.1|6.1-cloud) echo bookworm ;;
	6.12) echo trixie ;;
	6.1-dracut) echo dracut-bookworm ;;
	6.12-dracut) echo dracut-trixie ;;
	*) die "no such kernel: $1" ;;
	esac
}
kernel_version() (
	case $1 in *-cloud) flavour=cloud-amd64 ;; *) flavour=amd64 ;; esac
	cd "$roots/$(kernel_root "$1")/boot" || exit
	for v in vmlinuz-*; do
		v=${v#vmlinuz-}
		case $v in
		*-cloud-amd64) [ $flavour = cloud-amd64 ] || continue ;;
		*) [ $flavour = amd64 ] || continue ;;
		esac
		echo "$v"
		return
	done
	exit 1
)
