# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the tests share that have images made in scratch copies of the roots of test-qemu:
# the copies, and what is asked of an image that is unpacked in /unpacked. To be sourced
# by root, with lib.sh before it; $dir is the copy in use, $debian its name.
# shellcheck disable=SC2154 # its users set these

made=$roots
# Where hard links to those work.
place=$build
# shellcheck source-path=SCRIPTDIR source=points.sh
. "$top/tests/points.sh"
roots=$scratch
said() { tail -n 20 "$dir/out" "$dir/err"; }

# copy ROOT: nothing is written in the root itself, where test-qemu/image works too.
copy() {
	[ -e "$made/$1.made" ] || die "there is no $1 root: run test-qemu/setup first"
	(
		exec 9>"$made/$1.lock"
		flock 9
		copy_root "$made/$1" "$roots/$1"
	) || die "cannot copy the $1 root"
	env -u MAKEFLAGS -u MAKELEVEL make -s -C "$top" install DESTDIR="$roots/$1" >&2 ||
		die "cannot install into the $1 root"
	mv "$roots/$1/etc/preclaim.conf" "$roots/$1.conf"
}

# says FILE LINE: the whole line is there
says() { grep -qxF -e "$2" "$dir/$1"; }
same() { cmp "$1" "$2" >"$dir/out"; }
is_silent() { [ ! -s "$dir/out" ] && [ ! -s "$dir/err" ]; }

# has_modules VERSION MODULE...: in the image, with all that they depend on. Asked of the
# kernel's own lists: the image's know only what is there.
has_modules() {
	modules=/lib/modules/$1
	for module in $(shift; echo "$@"); do
		files=$(chroot "$dir" modprobe -S "${modules##*/}" --show-depends "$module" |
			sed -n 's/^insmod \([^ ]*\).*/\1/p')
		[ -n "$files" ] || return
		for file in $files; do
			[ -s "$dir/unpacked$file" ] || return
		done
	done
}
lacks_modules() {
	for module in "$@"; do
		files=$(find "$dir/unpacked/usr/lib/modules" -name "$(echo "$module" | sed 's/[-_]/[-_]/g').ko*") &&
			[ -z "$files" ] || return
	done
}
