# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the tests of the Debian package share. To be read after test-qemu/lib.sh.
# shellcheck disable=SC2154 # lib.sh has them

# shellcheck source-path=SCRIPTDIR source=points.sh
. "$top/tests/points.sh"
log=$scratch/err
version=$(cat "$top/VERSION")

# build SUITE ARCHITECTURE [FOLDER]: without its tests, which have passed for this source
build() {
	DEB_BUILD_OPTIONS=nocheck "$top/debian/in-chroot" "$1" "$2" "$top" \
		"$scratch/${3:-$1-$2}" >"$log" 2>&1
}
deb() { echo "$scratch/$1/preclaim_${version}_${1##*-}.deb"; }
# built SUITE KERNEL: the same that the images of that kernel's systems have installed
built() {
	"$top/test-qemu/image" "$2-deb-installed" >"$log" 2>&1 && cp -r "$images/$2-deb" "$scratch/$1-amd64"
}
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

# check_native SUITE: that for this architecture
check_native() {
	is_static "$1-amd64" 62 &&
		[ "$("$scratch/$1-amd64/tree/usr/sbin/preclaim" -V)" = "preclaim $version" ]
	ok "$1-amd64: the program is static, and says the version"
	check_package "$1-amd64"
}

# --- the systems that have it, or had it -------------------------------------
# on_disk IMAGE PATH: that file in the system of a state
on_disk() { debugfs -R "cat $2" "$images/$1.ext4" 2>"$log"; }
is_on_disk() { debugfs -R "stat $2" "$images/$1.ext4" 2>&1 | grep -q '^Inode: '; }

# in_image IMAGE: the names in the state's initramfs, as the system's own tool has them
in_image() (
	made=/tmp/preclaim-$1.initrd
	case $1 in 6.1-*) root=bookworm ;; *) root=trixie ;; esac
	as_root cp "$images/$1.initrd" "$roots/$root$made"
	in_root "$root" lsinitramfs "$made"
	as_root rm -f "$roots/$root$made"
)

# has_it DEBIAN IMAGE STATE
has_it() {
	in_image "$2" >"$log"
	grep -qx usr/sbin/preclaim "$log" && grep -qx scripts/init-top/preclaim "$log" &&
		grep -qx 'usr/lib/udev/rules.d/65-preclaim.rules' "$log"
	ok "$1, $3: the image has preclaim"
	is_on_disk "$2" /etc/systemd/system/multi-user.target.wants/preclaim.service
	ok "$1, $3: the unit is enabled"
}
