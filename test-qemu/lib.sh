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
# Nothing is mounted there, so this works in containers too: making an image needs neither
# /proc nor /sys.
in_root() (
	root=$1
	shift
	set -- env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 chroot "$roots/$root" "$@"
	# Who runs arm64's programs, the kernel is told in a namespace (since 6.7), unless it
	# knows already: that table is the whole machine's.
	if [ "$root" = arm64 ] && [ ! -e /proc/sys/fs/binfmt_misc/qemu-aarch64 ]; then
		# shellcheck disable=SC2016 # for the inner shell
		set -- unshare --user --map-root-user --mount sh -ec '
			mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
			cat /usr/lib/binfmt.d/qemu-aarch64.conf >/proc/sys/fs/binfmt_misc/register
			exec "$@"' - "$@"
	fi
	as_root "$@" </dev/null
)

# The same with a root that is a mount point, and with /proc and terminals, in a mount namespace
# of its own: dracut, being bash, reads /dev/fd, and makes no host-only image where nothing is
# mounted; packages are built and tested where there is what any build machine has.
in_root_with_proc() (
	root=$1
	shift
	# shellcheck disable=SC2016 # for the inner shell
	as_root unshare --mount sh -ec '
		mount --bind "$1" "$1"
		mount -t proc proc "$1/proc"
		mkdir -p "$1/dev/pts"
		mount -t devpts devpts "$1/dev/pts"
		shift
		exec "$@"' - "$roots/$root" \
		env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
		chroot "$roots/$root" "$@" </dev/null
)

# Whose a source is, apt knows from its lists.
# shellcheck disable=SC2016 # $(REPO_URI) is for apt
mirror() {
	ls /var/lib/apt/lists/*Release >/dev/null 2>&1 || as_root apt-get -qq update >&2
	apt-get indextargets --format '$(REPO_URI)' \
		'Created-By: Packages' 'Origin: Debian' 'Label: Debian' 'Component: main' |
		head -n 1 | grep . || die "apt has no Debian mirror in its sources"
}

# root NAME PACKAGES [SUITE [ARCHITECTURES]]: a Debian of the suite of that name, or of
# another, made by mmdebstrap if it isn't there yet, with the same mirror, proxy and time
# checks as this machine's own apt. Images are made by the tests themselves: INITRD=No keeps
# the kernel packages from making theirs. One of another architecture than this machine's is
# unpacked, and nothing in it is run.
root() (
	name=$1 include=$2 suite=${3:-$1} native=$(dpkg --print-architecture)
	architectures=${4:-$native}
	case $architectures in
	"$native"*) set -- --variant=apt ;;
	*) set -- --variant=extract --skip=check/qemu --include='?essential' ;;
	esac
	log=$build/root-$name.log
	made="$name $include"
	mkdir -p "$roots"
	exec 9>"$roots/$name.lock"
	flock 9
	[ "$(cat "$roots/$name.made" 2>/dev/null)" = "$made" ] && exit
	say "making $name root"
	as_root rm -rf "$roots/$name"
	apt-config dump |
		grep -E '^Acquire::(https?::Proxy|Check-Valid-Until|Check-Date|Retries)' \
			>"$build/apt-$name.conf" || :
	# shellcheck disable=SC2016 # $1 is for mmdebstrap's shell
	as_root env INITRD=No mmdebstrap "$@" --include="$include" \
		--architectures="$architectures" \
		--aptopt="$build/apt-$name.conf" \
		--aptopt='Apt::Install-Recommends "false"' \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt=force-unsafe-io \
		--customize-hook='rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/*' \
		"$suite" "$roots/$name" "deb $(mirror) $suite main" >"$log" 2>&1 ||
		{ tail -n 30 "$log" >&2; die "cannot make the $name root, see $log"; }
	echo "$made" >"$roots/$name.made"
)

# make_root NAME: one of those that images are made from. trixie has QEMU, too, and cross is
# what builds for arm64.
make_root() (
	tools=initramfs-tools,udev,busybox,kmod,zstd,lz4,make
	# dracut is in the way of initramfs-tools, and the other way round.
	dracut=dracut,systemd-sysv,udev,kmod,zstd,make,linux-image-amd64
	case $1 in
	trixie) root trixie "$tools,linux-image-amd64,qemu-system-x86,qemu-system-arm,qemu-efi-aarch64,systemd-sysv" ;;
	bookworm) root bookworm "$tools,linux-image-amd64,linux-image-cloud-amd64,systemd-sysv" ;;
	raid) root raid "$tools,linux-image-amd64,systemd-sysv,mdadm,lvm2" bookworm ;;
	cross) root cross make,gcc-aarch64-linux-gnu,libklibc-dev:arm64,musl-dev:arm64 bookworm \
		"$(dpkg --print-architecture),arm64" ;;
	arm64) root arm64 "$tools,linux-image-arm64" trixie arm64 ;;
	dracut-trixie) root dracut-trixie "$dracut" trixie ;;
	dracut-bookworm) root dracut-bookworm "$dracut" bookworm ;;
	*) die "no such root: $1" ;;
	esac
)

# The root and the kernel version of each kernel that the tests boot.
kernel_root() {
	case $1 in
	6.1|6.1-cloud) echo bookworm ;;
	6.12) echo trixie ;;
	6.1-dracut) echo dracut-bookworm ;;
	6.12-dracut) echo dracut-trixie ;;
	arm64) echo arm64 ;;
	*) die "no such kernel: $1" ;;
	esac
}
kernel_version() (
	case $1 in *-cloud) flavour=cloud-amd64 ;; *) flavour=usual ;; esac
	cd "$roots/$(kernel_root "$1")/boot" || exit
	for v in vmlinuz-*; do
		v=${v#vmlinuz-}
		case $v in
		*-cloud-amd64) [ $flavour = cloud-amd64 ] || continue ;;
		*) [ $flavour = usual ] || continue ;;
		esac
		echo "$v"
		return
	done
	exit 1
)
