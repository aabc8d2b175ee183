#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the real mkinitramfs and update-initramfs make of hook/preclaim in a Debian 12 and
# a Debian 13 system: images are unpacked and looked at, none is booted. The systems are
# scratch copies of the roots that test-qemu/setup makes; what a case needs of /sys and
# /proc are plain files in them, so nothing depends on this machine.

set -u
[ "$(id -u)" = 0 ] || exec sudo -n "$0"
# shellcheck source-path=SCRIPTDIR source=../test-qemu/lib.sh
. "$(dirname "$0")/../test-qemu/lib.sh"
# shellcheck source-path=SCRIPTDIR source=images.sh
. "$top/tests/images.sh"

# --- the systems -------------------------------------------------------------
# begin ROOT [CLASSES]: a case, with its rules on standard input. It has no devices, no
# /proc and no /sys, and takes into the image only what hooks ask for.
begin() {
	debian=$1 about=$1 dir=$roots/$1
	rm -rf "$dir/etc/initramfs-tools" "$dir/etc/preclaim.d" "$dir/proc" "$dir/sys" \
		"$dir/image" "$dir/unpacked" "$dir"/boot/initrd*
	cp -r "$dir.initramfs-tools" "$dir/etc/initramfs-tools"
	printf '%s\n' "MODULES=${2:-list}" BUSYBOX=n COMPRESS=lz4 COMPRESSLEVEL=1 \
		>"$dir/etc/initramfs-tools/conf.d/test"
	mkdir "$dir/etc/preclaim.d" "$dir/proc" "$dir/sys"
	cat >"$dir/etc/preclaim.conf"
}

# machine NAME: what of it the hook can see, and a root file system that MODULES=dep can
# do without a block device.
machine() {
	"$top/tests/mktree" "$top/tests/machines/$1.manifest" "$dir" || exit
	echo 'ubi0:root / ubifs rw 0 0' >"$dir/proc/mounts"
	mkdir "$dir/proc/self"
	echo '21 1 0:2 / / rw - tmpfs tmpfs rw' >"$dir/proc/self/mountinfo"
}

inside() {
	timeout 300 env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
		chroot --userspec="${user:-0:0}" "$dir" "$@" </dev/null >"$dir/out" 2>"$dir/err"
}

# make_image VERSION [OPTION...]: makes /image and unpacks it. A status of mkinitramfs's
# other than 0 is returned.
make_image() {
	version=$1
	shift
	inside mkinitramfs "$@" -o /image "$version" || return
	unpack /image
}
unpack() {
	rm -rf "$dir/unpacked"
	chroot "$dir" unmkinitramfs "$1" /unpacked
}

# The names of the scripts that init-top will run, each between blanks.
init_top_order() {
	sed -n 's|^/scripts/init-top/\(.*\) "\$@"$| \1 |p' \
		"$dir/unpacked/scripts/init-top/ORDER" | tr -d '\n'
}
is_before_udev() {
	case $(init_top_order) in
	*" preclaim "*" udev "*) ;;
	*) return 1 ;;
	esac
}

# --- what an image has -------------------------------------------------------
rules_and_program() {
	begin "$1" <<-'END'
		# the one and only
		claim 10de:2204 10de:1aef
		keep 01:00.1
	END
	echo 'claim 02:00.0 driver=pci-stub' >"$dir/etc/preclaim.d/10-more.conf"
	ln -s 10-more.conf "$dir/etc/preclaim.d/05-link.conf"
	echo 'nonsense' >"$dir/etc/preclaim.d/10-more.conf.bak"
	make_image "$2"
	ok 'rules for devices of another machine make an image, without /proc and /sys'
	is_silent
	ok 'nothing is printed where nothing is wrong'
	same "$dir/usr/sbin/preclaim" "$dir/unpacked/usr/sbin/preclaim" &&
		[ -x "$dir/unpacked/usr/sbin/preclaim" ]
	ok 'the image has the program'
	diff -r "$dir/etc/preclaim.conf" "$dir/unpacked/etc/preclaim.conf" >"$dir/out" &&
		diff -r -x '*.bak' "$dir/etc/preclaim.d" "$dir/unpacked/etc/preclaim.d" >"$dir/out"
	ok 'the image has the file of rules and the folder, and nothing else from there'
	has_modules "$2" vfio_pci vfio_iommu_type1
	ok 'the image has the modules of VFIO and all that they depend on'
	has_modules "$2" pci_stub && lacks_modules uio_pci_generic igb
	ok 'the image has the module of a driver that a rule names, and no others'
	same "$top/scripts/init-top/preclaim" "$dir/unpacked/scripts/init-top/preclaim" &&
		[ -x "$dir/unpacked/scripts/init-top/preclaim" ] && is_before_udev
	ok 'init-top runs preclaim before udev'
}

knows_nothing() {
	printf "unknown %s $1\n" network storage usb | same - "$dir/unpacked/etc/preclaim.image"
}

# What the machine has at the places of rules, and what it needs to run.
pins_and_protected() {
	begin "$1" <<-'END'
		claim class=0108
		keep 5f:00.0
		claim 5d:02.0/00.0
	END
	machine server-four-nvme
	cat >"$dir/nvme.manifest" <<-'END'
		proc/self/mountinfo = 21 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw\n
		sys/dev/block/259:2 -> ../../devices/pci0000:5d/0000:5d:00.0/0000:5e:00.0/nvme/nvme0/nvme0n1/nvme0n1p2
		sys/devices/pci0000:5d/0000:5d:00.0/0000:5e:00.0/nvme/nvme0/nvme0n1/nvme0n1p2/
	END
	"$top/tests/mktree" "$dir/nvme.manifest" "$dir"
	make_image "$2"
	cat >"$dir/expected" <<-'END'
		pin 0000:5d:02.0/00.0 144d:a822:1028:1fda
		pin 0000:5f:00.0 144d:a822:1028:1fda
		protect 0000:5e:00.0 144d:a822:1028:1fda /
	END
	same "$dir/expected" "$dir/unpacked/etc/preclaim.image"
	ok 'the image knows what is at the places of rules, and what the machine needs'
	grep -q '0000:5e:00.0 .*: refused: carries /' "$dir/err"
	ok 'whoever makes the image is told what will be refused'
	rm -r "$dir/sys" "$dir/proc"
	mkdir "$dir/sys" "$dir/proc"
	make_image "$2" && knows_nothing 'no PCI device was to be seen when the image was made'
	ok 'where no device is to be seen the image says that nothing is known, and is made'
	echo 'claim class=0108' >"$dir/etc/preclaim.conf"
	machine server-four-nvme
	make_image "$2" && [ -e "$dir/unpacked/etc/preclaim.image" ] && [ ! -s "$dir/unpacked/etc/preclaim.image" ]
	ok 'where the machine needs nothing the image has an empty list'
	echo '21 1 0:27 / / rw - zfs rpool/ROOT rw' >"$dir/proc/self/mountinfo"
	make_image "$2" && grep -q '^unknown storage /: cannot follow "zfs rpool": ' "$dir/unpacked/etc/preclaim.image" &&
		grep -q '^preclaim: /: cannot follow "zfs rpool": ' "$dir/err"
	ok 'what could not be followed is in the image, and whoever makes it is told'
	rm "$dir/proc/self/mountinfo"
	make_image "$2" && knows_nothing '/proc/self/mountinfo was not there when the image was made' &&
		grep -q '^preclaim: /proc/self/mountinfo: it is not there' "$dir/err"
	ok 'where no mounts are to be seen nothing is known either'
}

# As it is installed: all examples are commented out.
example_rules() {
	begin "$1" <"$roots/$1.conf"
	make_image "$2" && is_silent && has_modules "$2" vfio_pci vfio_iommu_type1
	ok 'the rules that come with preclaim make an image with VFIO for the boot menu'
	begin "$1" </dev/null
	rm -r "$dir"/etc/preclaim*
	make_image "$2" && is_silent && [ -x "$dir/unpacked/usr/sbin/preclaim" ]
	ok 'no rules at all make an image too'
}

by_any_user() {
	begin "$1" <<-'END'
		claim 10de:2204
	END
	mkdir "$dir/home/user"
	chown 1000:1000 "$dir/home/user"
	user=1000:1000 inside mkinitramfs -o /home/user/image "$2" && unpack /home/user/image &&
		same "$dir/etc/preclaim.conf" "$dir/unpacked/etc/preclaim.conf" &&
		has_modules "$2" vfio_pci && is_before_udev
	ok 'mkinitramfs needs no root'
}

with_modules_of_policy() {
	begin "$1" "$3" <<-'END'
		claim 8086:10c9 driver=uio_pci_generic
	END
	machine server-sriov
	make_image "$2" && has_modules "$2" vfio_pci vfio_iommu_type1 uio_pci_generic
	ok "MODULES=$3 makes no difference to the modules that rules need"
}

with_another_prefix() {
	begin "$1" <<-'END'
		claim 10de:2204
	END
	mv "$dir/usr/sbin/preclaim" "$dir/usr/local/sbin/"
	common=$dir/usr/lib/preclaim/image
	cp "$common" "$dir.common"
	env -u MAKEFLAGS -u MAKELEVEL make -s -C "$top" install PREFIX=/usr/local DESTDIR="$dir" >&2
	make_image "$2" && same "$dir/usr/local/sbin/preclaim" "$dir/unpacked/usr/sbin/preclaim"
	ok 'a program below another prefix is where the scripts look for it in the image'
	rm "$common"
	cp "$dir.common" "$common"
	mv "$dir/usr/local/sbin/preclaim" "$dir/usr/sbin/"
}

# --- what an image is refused for --------------------------------------------
bad_rules() {
	begin "$1" <<-'END'
		claim 10de:2204
		claim 10de:22O4
	END
	echo 'kleep 01:00.1' >"$dir/etc/preclaim.d/10.conf"
	! make_image "$2" && [ ! -s "$dir/image" ] && grep -q '^preclaim: ' "$dir/err"
	ok 'mkinitramfs makes no image from rules that cannot be parsed'
	grep -q '^preclaim: /etc/preclaim.conf:2:14: ' "$dir/err" &&
		grep -q '^preclaim: /etc/preclaim.d/10.conf:1:1: ' "$dir/err"
	ok 'each error is told with file, line and column'
	echo 'the old image' >"$dir/boot/initrd.img-$2"
	! inside update-initramfs -u -k "$2" &&
		grep -q '^preclaim: /etc/preclaim.conf:2:14: ' "$dir/err" &&
		[ "$(cat "$dir/boot/"initrd*)" = 'the old image' ]
	ok 'update-initramfs fails and leaves the old image in place'
	echo 'claim 10de:2204' >"$dir/etc/preclaim.conf"
	rm "$dir/etc/preclaim.d/10.conf"
	ln -s nowhere "$dir/etc/preclaim.d/10.conf"
	! make_image "$2" && grep -q '^preclaim: /etc/preclaim.d/10.conf: ' "$dir/err"
	ok 'a file of rules that cannot be read is refused'
}

unknown_driver() {
	begin "$1" <<-'END'
		claim 10de:2204
		claim 01:00.0 driver=no-such-driver
	END
	! make_image "$2" && says err \
		"E: preclaim: kernel $2 has no driver no-such-driver, which a rule names: neither as module nor built in"
	ok 'a driver that this kernel lacks is refused'
	printf '%s\n' 'claim 10de:2204' 'claim 01:00.0 driver=none' 'claim 01:00.1 driver=auto' \
		>"$dir/etc/preclaim.conf"
	make_image "$2" && is_silent
	ok 'driver=none and driver=auto are no names of drivers'
}

# --- devices of this machine -------------------------------------------------
unmatched_rule() {
	begin "$1" <<-'END'
		claim 10de:2204
	END
	machine server-sriov
	make_image "$2" && [ "$(grep -c . "$dir/err")" = 1 ] &&
		grep -q '^preclaim: no device matches (rule claim 10de:2204, ' "$dir/err"
	ok 'a rule that matches no device of this machine is reported and put into the image'
}

# server-sriov: PF 05:00.0 is an igb. server-four-nvme: two 14e4:165f; the VFs of PF 3b:00.0
# would be 8086:154c.
# Debian builds no VFIO variant drivers for x86; others play them here.
sriov() {
	begin "$1" dep <<-'END'
		vfs 05:00.0=3
	END
	machine server-sriov
	make_image "$2" && has_modules "$2" igb vfio_pci && lacks_modules igbvf i40e
	ok 'the image has the driver of a PF that a rule gives VFs, also with MODULES=dep'

	begin "$1" <<-'END'
		claim vf@3b:00.0 driver=auto
	END
	machine server-four-nvme
	cat >"$dir/etc/modprobe.d/test.conf" <<-'END'
		alias vfio_pci:v000014E4d0000165Fsv*sd*bc*sc*i* uio_pci_generic
		alias vfio_pci:v00008086d0000154Csv*sd*bc*sc*i* pci_pf_stub
		alias vfio_pci:v00008086d000010CAsv*sd*bc*sc*i* e1000e
	END
	make_image "$2" && has_modules "$2" uio_pci_generic && lacks_modules e1000e
	ok 'driver=auto: the image has the variant drivers for devices that are there'
	has_modules "$2" pci_pf_stub
	ok 'driver=auto: the image has the variant drivers for VFs that are not there yet'
	echo 'claim 3b:00.0 driver=pci-stub' >"$dir/etc/preclaim.conf"
	make_image "$2" && lacks_modules uio_pci_generic pci_pf_stub
	ok 'the image has variant drivers only where a rule says driver=auto'
	rm "$dir/etc/modprobe.d/test.conf"
}

udev_rules() {
	begin "$1" </dev/null
	ours=$dir/usr/lib/udev/rules.d/00-test-preclaim.rules
	mine=$dir/etc/udev/rules.d/00-test-preclaim.rules
	echo '# ours' >"$ours"
	make_image "$2" && same "$ours" "$dir/unpacked/usr/lib/udev/rules.d/${ours##*/}"
	ok "preclaim's udev rules are in the image"
	echo '# mine' >"$mine"
	make_image "$2" && same "$mine" "$dir/unpacked/usr/lib/udev/rules.d/${mine##*/}"
	ok "an administrator's copy in /etc stands in for them"
	rm "$ours" "$mine"
}

# --- the order ---------------------------------------------------------------
init_top_script() {
	mkdir -p "$dir/etc/initramfs-tools/scripts/init-top"
	printf '%s\n' '#!/bin/sh' "[ \"\$1\" != prereqs ] || echo '$2'" \
		>"$dir/etc/initramfs-tools/scripts/init-top/$1"
	chmod "$3" "$dir/etc/initramfs-tools/scripts/init-top/$1"
}

order() {
	begin "$1" </dev/null
	init_top_script after-udev udev 755
	init_top_script zz-first '' 755
	init_top_script zz-after 'zz-first missing' 755
	init_top_script no-program '' 644
	# shellcheck disable=SC2046,SC2116 # with one blank between the names
	make_image "$2" -v && is_before_udev &&
		says out "preclaim: order of init-top:$(init_top_order | sed 's/  */ /g; s/ $//')"
	ok 'the order that the hook computes is the one that mkinitramfs generates'

	script=$dir/usr/share/initramfs-tools/scripts/init-top/preclaim
	chmod a-x "$script"
	! make_image "$2" && says err \
		'E: preclaim: scripts/init-top/preclaim would not be run: it has to be an executable script'
	ok 'a script that init-top would pass over is refused'
	chmod a+x "$script"
}

# The image's udev script up to its first command, and what init-top itself would run.
is_mended() {
	[ "$(sed -n '2s/ #.*//p' "$dir/unpacked/scripts/init-top/udev")" = /scripts/preclaim ] &&
		sed 2d "$dir/unpacked/scripts/init-top/udev" |
		same - "$dir/usr/share/initramfs-tools/scripts/init-top/udev" &&
		[ -x "$dir/unpacked/scripts/init-top/udev" ] &&
		same "$top/scripts/init-top/preclaim" "$dir/unpacked/scripts/preclaim" &&
		[ -x "$dir/unpacked/scripts/preclaim" ] || return
	case $(init_top_order) in
	*" preclaim "*) return 1 ;;
	*" udev "*) ;;
	*) return 1 ;;
	esac
}

# with_tsort: standard input is the script that stands in for tsort.
with_tsort() {
	[ -e "$dir/usr/bin/tsort.real" ] || mv "$dir/usr/bin/tsort" "$dir/usr/bin/tsort.real"
	cat >"$dir/usr/bin/tsort"
	chmod 755 "$dir/usr/bin/tsort"
}

mended_order() {
	begin "$1" </dev/null
	with_tsort <<-'END'
		#!/bin/sh
		tsort.real | sed '/^preclaim$/d; $a preclaim'
	END
	make_image "$2" && is_silent && is_mended
	ok 'where init-top would run udev first, the script of that name runs preclaim first'
	with_tsort <<-'END'
		#!/bin/sh
		list=$(tsort.real)
		case $list in
		*preclaim*) echo "$list" ;;
		*) echo "$list" | sort -r ;;
		esac
	END
	make_image "$2" && is_silent && is_mended
	ok 'so it is where the order is right only by chance'
	mv "$dir/usr/bin/tsort.real" "$dir/usr/bin/tsort"
}

# --- kernels -----------------------------------------------------------------
every_kernel() {
	begin bookworm <<-'END'
		claim 10de:2204
		claim 00:04.0 driver=nvme
	END
	for version in "$@"; do echo old >"$dir/boot/initrd.img-$version"; done
	inside update-initramfs -u -k all && [ ! -s "$dir/err" ]
	ok 'update-initramfs -k all makes an image for each kernel'
	for version in "$@"; do
		rm -rf "$dir/unpacked"
		unpack "/boot/initrd.img-$version"
		has_modules "$version" vfio_pci vfio_iommu_type1 &&
			same "$dir/etc/preclaim.conf" "$dir/unpacked/etc/preclaim.conf" && is_before_udev
		ok "the image for kernel $version has its modules and the rules"
		case $version in
		*-cloud-*) grep -q '/nvme\.ko$' "$dir/lib/modules/$version/modules.builtin" ;;
		*) has_modules "$version" nvme ;;
		esac
		ok "for kernel $version a driver may be a module or built in"
	done
	echo 'claim 00:04.0 driver=pci-stub' >"$dir/etc/preclaim.conf"
	! make_image "$2" && grep -q "^E: preclaim: kernel $2 has no driver pci-stub, " "$dir/err" &&
		make_image "$1" && is_silent
	ok 'a driver may be there for one kernel and be lacking for another'
}

# kernel NAME MODULE-FILE...: one with only pci-stub as a module and only these built in
kernel() {
	mkdir -p "$dir/lib/modules/$1/kernel"
	cp "$dir/lib/modules/$like/kernel/drivers/pci/pci-stub.ko" "$dir/lib/modules/$1/kernel/"
	cp "$dir/boot/config-$like" "$dir/boot/config-$1"
	name=$1
	shift
	for file; do echo "kernel/drivers/vfio/$file"; done >"$dir/lib/modules/$name/modules.builtin"
	: >"$dir/lib/modules/$name/modules.builtin.modinfo"
	: >"$dir/lib/modules/$name/modules.order"
	chroot "$dir" depmod "$name"
}

without_vfio() {
	like=$1
	begin bookworm <<-'END'
		claim 00:04.0
	END
	kernel 6.1-without-vfio
	! make_image 6.1-without-vfio && says err \
		'E: preclaim: kernel 6.1-without-vfio has no vfio_pci, neither as module nor built in: vfio-pci cannot be used'
	ok 'a kernel without VFIO is refused where a rule names no other driver'
	for driver in vfio-pci vfio_pci auto; do
		echo "claim 00:04.0 driver=$driver" >"$dir/etc/preclaim.conf"
		! make_image 6.1-without-vfio && grep -q '^E: preclaim: .* has no vfio_pci, ' "$dir/err"
		ok "a kernel without VFIO is refused where a rule says driver=$driver"
	done
	echo 'vfs 00:04.0=2' >"$dir/etc/preclaim.conf"
	! make_image 6.1-without-vfio && grep -q '^E: preclaim: .* has no vfio_pci, ' "$dir/err"
	ok 'a kernel without VFIO is refused where VFs are for it'
	printf '%s\n' 'claim 00:04.0 driver=pci-stub' 'claim 00:05.0 driver=none' 'keep 00:06.0' \
		>"$dir/etc/preclaim.conf"
	make_image 6.1-without-vfio && has_modules 6.1-without-vfio pci_stub &&
		[ "$(grep -c '^W: preclaim: kernel 6.1-without-vfio has no vfio_' "$dir/err")" = 2 ]
	ok 'a kernel without VFIO is warned about where no rule needs it'
	kernel 6.1-builtin-vfio vfio.ko vfio_iommu_type1.ko pci/vfio-pci.ko
	echo 'claim 00:04.0' >"$dir/etc/preclaim.conf"
	make_image 6.1-builtin-vfio && is_silent && lacks_modules vfio-pci
	ok 'VFIO may be built in'
}

# --- all of it ---------------------------------------------------------------
for debian in bookworm trixie; do
	copy "$debian"
	mv "$roots/$debian/etc/initramfs-tools" "$roots/$debian.initramfs-tools"
	# a third of an image, in which nothing here looks for the names of hardware
	rm -f "$roots/$debian/usr/lib/udev/hwdb.bin"
done
for kernel in 6.1 6.12; do
	debian=$(kernel_root $kernel)
	version=$(kernel_version $kernel) || die "the $debian root has no kernel $kernel"
	for case in rules_and_program pins_and_protected example_rules by_any_user with_another_prefix bad_rules \
		unknown_driver unmatched_rule sriov udev_rules order mended_order; do
		$case "$debian" "$version"
	done
	with_modules_of_policy "$debian" "$version" dep
done
every_kernel "$(kernel_version 6.1)" "$(kernel_version 6.1-cloud)"
without_vfio "$(kernel_version 6.1)"
# Last, as it takes the modules away that only make the image larger.
version=$(kernel_version 6.1)
for folder in net scsi usb hid input iio media gpu; do
	rm -rf "$roots/bookworm/lib/modules/$version/kernel/drivers/$folder"
done
chroot "$roots/bookworm" depmod "$version"
with_modules_of_policy bookworm "$version" most
end
