#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The Debian package: built in clean chroots of three releases, and crosswise for arm64; what
# is in it, what lintian says, and what it leaves behind in a Debian 12 and a Debian 13. Cases
# deb-* of test-qemu boot these.

set -u
# shellcheck source-path=SCRIPTDIR source=../test-qemu/lib.sh
. "$(dirname "$0")/../test-qemu/lib.sh"

scratch=$(mktemp -d) || exit
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' INT TERM
log=$scratch/log
version=$(cat "$top/VERSION")
n=0

# ok SENTENCE: by the status of the command before it
ok() {
	status=$?
	n=$((n + 1))
	if [ "$status" = 0 ]; then
		echo "ok $n - $1"
	else
		echo "not ok $n - $1"
		tail -n 30 "$log" | sed 's/^/# /'
	fi
	: >"$log"
}

# build SUITE ARCHITECTURE [FOLDER]: without its tests, which have passed for this source
build() {
	DEB_BUILD_OPTIONS=nocheck "$top/debian/in-chroot" "$1" "$2" "$top" \
		"$scratch/${3:-$1-$2}" >"$log" 2>&1
}
deb() { echo "$scratch/$1/preclaim_${version}_${1##*-}.deb"; }
field() { dpkg-deb -f "$(deb "$1")" "$2"; }

# --- what is built -----------------------------------------------------------
# ELF's e_machine, at offset 18: 62 is x86-64, 183 is AArch64. No interpreter: static.
is_static() {
	dpkg-deb -x "$(deb "$1")" "$scratch/$1/tree"
	program=$scratch/$1/tree/usr/sbin/preclaim
	od -An -tu2 -j18 -N2 "$program" >"$log"
	[ "$(tr -d " \n" <"$log")" = "$2" ] && ! grep -q 'ld-linux' "$program"
}

# All that `make install` installs, but that the package's own scripts enable the unit; and
# what every package has.
has_all() {
	env -u MAKEFLAGS -u MAKELEVEL make -s -C "$top" install DESTDIR="$scratch/$1/installed" &&
		{
			find "$scratch/$1/installed" ! -name '*.wants' ! -path '*.wants/*' -printf '%P %m\n'
			for file in NEWS changelog copyright; do
				echo "usr/share/doc/preclaim/$file 644"
			done
			printf '%s 755\n' usr/share/doc usr/share/doc/preclaim usr/share/lintian usr/share/lintian/overrides
			echo 'usr/share/lintian/overrides/preclaim 644'
			echo 'usr/share/man/man8/preclaim-import.8 777'
		} | sort -u >"$scratch/want"
	find "$scratch/$1/tree" -printf '%P %m\n' | sed 's/\.gz / /' | sort >"$scratch/have"
	diff "$scratch/want" "$scratch/have" >"$log"
}
control() { dpkg-deb -I "$(deb "$1")" "$2"; }

check_package() {
	has_all "$1"
	ok "$1: the package has what \`make install\` installs, and the documents of a package"
	[ "$(control "$1" conffiles)" = /etc/preclaim.conf ]
	ok "$1: /etc/preclaim.conf is a conffile, and nothing else is"
	control "$1" triggers | grep -qx 'activate-noawait update-initramfs'
	ok "$1: dpkg renews the images when it comes and when it goes"
	field "$1" Built-Using | grep -Eqx 'klibc \(= [^ ]+\)'
	ok "$1: the klibc that is in the program is declared"
	[ "$(field "$1" Version)" = "$version" ]
	ok "$1: the package's version is the source's"
}

for suite in bookworm trixie sid; do
	build $suite amd64
	ok "$suite-amd64: the package is built in a clean chroot"
	is_static $suite-amd64 62 &&
		[ "$("$scratch/$suite-amd64/tree/usr/sbin/preclaim" -V)" = "preclaim $version" ]
	ok "$suite-amd64: the program is static, and says the version"
	check_package $suite-amd64
done
build trixie arm64
ok 'trixie-arm64: the package is built crosswise in a clean chroot'
is_static trixie-arm64 183
ok 'trixie-arm64: the program is static, and for that machine'
check_package trixie-arm64

build bookworm amd64 again-amd64 &&
	cmp "$(deb bookworm-amd64)" "$(deb again-amd64)" >"$log"
ok 'built twice, at other times and places, the package is the same to the byte'
cmp "$scratch/bookworm-amd64/preclaim_$version.tar.xz" "$scratch/sid-amd64/preclaim_$version.tar.xz" >"$log"
ok 'the source package is the same in each release'

# --- lintian -----------------------------------------------------------------
root lint lintian sid
# All that it can find, apart from what debian/ gives reasons for.
lint() {
	as_root rm -rf "$roots/lint/packages"
	as_root cp -r "$scratch/$1" "$roots/lint/packages"
	in_root lint sh -c 'exec lintian --allow-root --pedantic --display-info --display-experimental \
		--tag-display-limit 0 --fail-on error,warning,info,pedantic,experimental \
		/packages/*.changes' >"$log" 2>&1 && [ ! -s "$log" ]
}
for package in bookworm-amd64 trixie-amd64 sid-amd64 trixie-arm64; do
	lint $package
	ok "$package: the newest lintian finds nothing in source and package, pedantic as it can be"
done
as_root rm -rf "$roots/lint/packages"

# --- its own tests -----------------------------------------------------------
root autopkgtest autopkgtest,dpkg-dev,perl,linux-image-amd64,initramfs-tools,busybox,qemu-system-x86,cpio,zstd trixie
as_root rm -rf "$roots/autopkgtest/preclaim"
as_root mkdir "$roots/autopkgtest/preclaim"
(cd "$top" && tests/files | tar -c -T -) | as_root tar -C "$roots/autopkgtest/preclaim" -x --no-same-owner
as_root cp "$(deb trixie-amd64)" "$roots/autopkgtest/preclaim.deb"
in_root_with_proc autopkgtest autopkgtest --no-built-binaries /preclaim.deb /preclaim -- null >"$log" 2>&1
cp "$log" "$build/autopkgtest.log"
for name in program boot; do
	grep -Eqx "$name +PASS" "$log"
	ok "trixie-amd64: autopkgtest, $name: passes"
	cp "$build/autopkgtest.log" "$log"
done

# --- the package's life ------------------------------------------------------
# on_disk IMAGE PATH: that file in the system of a state
on_disk() { debugfs -R "cat $2" "$images/$1.ext4" 2>"$log"; }
is_on_disk() { debugfs -R "stat $2" "$images/$1.ext4" 2>&1 | grep -q '^Inode: '; }

# in_image IMAGE: the names in the state's initramfs, as the system's own tool has them
in_image() (
	made=/tmp/preclaim-deb.initrd
	case $1 in 6.1-*) root=bookworm ;; *) root=trixie ;; esac
	as_root cp "$images/$1.initrd" "$roots/$root$made"
	in_root "$root" lsinitramfs "$made"
	as_root rm -f "$roots/$root$made"
)

enabled=/etc/systemd/system/multi-user.target.wants/preclaim.service
for system in 12:6.1 13:6.12; do
	states=${system#*:}-deb
	debian="Debian ${system%:*}"
	"$top/test-qemu/image" "$states-purged" >"$log" 2>&1
	ok "$debian: the package is installed, upgraded, removed and purged"
	for state in installed upgraded; do
		in_image "$states-$state" >"$log"
		grep -qx usr/sbin/preclaim "$log" && grep -qx scripts/init-top/preclaim "$log" &&
			grep -qx 'usr/lib/udev/rules.d/65-preclaim.rules' "$log"
		ok "$debian, $state: the image has preclaim"
		is_on_disk "$states-$state" "$enabled"
		ok "$debian, $state: the unit is enabled"
	done
	for state in upgraded removed; do
		on_disk "$states-$state" /etc/preclaim.conf | cmp - "$top/test-qemu/system/preclaim.conf" >"$log"
		ok "$debian, $state: edited rules are kept"
	done
	for state in removed purged; do
		in_image "$states-$state" >"$log"
		grep -q scripts/init-top/ORDER "$log" && ! grep -q preclaim "$log"
		ok "$debian, $state: the image has nothing of preclaim"
	done
	diff "$images/$states.before" "$images/$states.after" | grep '^[<>]' | grep -v ' \./var/log/dpkg.log ' >"$log"
	grep -qF ./etc/fstab "$images/$states.after" && [ ! -s "$log" ]
	ok "$debian, purged: every file is as it was before the package came, apart from dpkg's log"
done

echo "1..$n"
