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

# copy_root FROM TO: a Debian of its own, in a second, with nothing of preclaim in it. Its files are
# hard links, but for those of the folders where something is written in place.
copy_root() {
	as_root rm -rf "$2" &&
		as_root cp -al "$1" "$2" &&
		as_root rm -r "$2/etc" "$2/var" &&
		as_root cp -a "$1/etc" "$1/var" "$2" &&
		as_root find "$2" -depth -name '*preclaim*' -exec rm -r {} + &&
		# folders that make install has made
		for folder in usr/lib/dracut usr/lib/initcpio usr/share/fish usr/share/zsh; do
			[ ! -d "$2/$folder" ] || as_root find "$2/$folder" -depth -type d -empty -delete
		done
}

# unpack_root NAME SUITE ARCHITECTURE MMDEBSTRAP-OPTION...: with the same mirror, proxy and time
# checks as this machine's own apt
unpack_root() (
	name=$1 suite=$2 architecture=$3
	shift 3
	apt-config dump |
		grep -E '^Acquire::(https?::Proxy|Check-Valid-Until|Check-Date|Retries)' \
			>"$build/apt-$name.conf"
	as_root mmdebstrap "$@" --architectures="$architecture" \
		--aptopt="$build/apt-$name.conf" \
		--aptopt='Apt::Install-Recommends "false"' \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt=force-unsafe-io \
		"$suite" "$roots/$name" "deb $(mirror) $suite main"
)

# install_packages NAME PACKAGE...: into that root. Packages of another architecture have its name
# behind a colon. Images are made by the tests themselves: INITRD=No keeps the kernel's packages
# from making theirs.
# shellcheck disable=SC2016 # for the inner shell
install_packages() {
	name=$1
	shift
	in_root_with_proc "$name" env INITRD=No DEBIAN_FRONTEND=noninteractive sh -ec '
		foreign=$(echo "$*" | sed -n "s/.*:\([^ ]*\).*/\1/p")
		if [ "$foreign" ]; then
			dpkg --add-architecture "$foreign"
			apt-get -qq update
		fi
		# The lists may be older than what the mirror has now.
		apt-get -qq -y install "$@" || {
			apt-get -qq update
			apt-get -qq -y install "$@"
		}
		apt-get clean' - "$@"
}

# borrow_programs: those of the arm64 root that only make images, and don't go into them, become this
# machine's own, of the same release: an emulator needs ten times as long.
borrow_programs() {
	as_root cp -al "$roots/trixie/usr/lib/x86_64-linux-gnu" "$roots/arm64/usr/lib" &&
		as_root cp -a "$roots/trixie/usr/lib64" "$roots/arm64/usr" &&
		as_root ln -sfn usr/lib64 "$roots/arm64/lib64" || return
	for program in "$roots"/arm64/usr/bin/*; do
		native=$roots/trixie/usr/bin/${program##*/}
		case ${program##*/} in kmod | busybox | udevadm | ldd) continue ;; esac
		[ ! -f "$native" ] || [ -L "$native" ] || as_root cp --remove-destination "$native" "$program" || return
	done
}

# make_root NAME: the Debian of that name, if it isn't there yet. mmdebstrap makes the smallest
# one of each suite, SUITE-base; the others of that suite are copies of it, with packages installed
# besides. What is for another architecture is unpacked, and hardly anything of it is run.
make_root() (
	name=$1 from='' packages=''
	case $name in
	*-base) ;;
	# What the initramfs-tools of a suite make images in. trixie has QEMU, too.
	bookworm | trixie)
		from=$name-base
		packages='initramfs-tools udev busybox kmod zstd lz4 make systemd-sysv linux-image-amd64'
		case $name in
		bookworm) packages="$packages linux-image-cloud-amd64" ;;
		trixie) packages="$packages kexec-tools qemu-system-x86 qemu-system-arm qemu-efi-aarch64" ;;
		esac
		;;
	raid) from=bookworm packages='mdadm lvm2' ;;
	# It is in the way of initramfs-tools, which go.
	dracut-*) from=${name#dracut-} packages=dracut ;;
	arm64) packages='initramfs-tools udev busybox kmod zstd lz4 make linux-image-arm64' ;;
	# What builds for arm64.
	cross) from=bookworm-base packages='make gcc-aarch64-linux-gnu libklibc-dev:arm64 musl-dev:arm64' ;;
	# What builds the Debian package, crosswise too. No more than a build asks for:
	# dpkg-buildpackage refuses if debian/control wants others.
	deb-*-*)
		from=${name#deb-}
		foreign=${from#*-}
		from=${from%%-*}-base
		packages="build-essential crossbuild-essential-$foreign debhelper libklibc-dev:$foreign"
		;;
	deb-*) from=${name#deb-}-base packages='build-essential debhelper libklibc-dev' ;;
	lint) from=sid-base packages=lintian ;;
	autopkgtest)
		from=trixie-base
		packages='autopkgtest dpkg-dev perl linux-image-amd64 initramfs-tools busybox qemu-system-x86 cpio zstd'
		;;
	*) die "no such root: $name" ;;
	esac
	case $name in
	*-base) ;;
	arm64) make_root trixie ;;
	*) make_root "$from" ;;
	esac || exit

	log=$build/root-$name.log
	made="$from $packages"
	mkdir -p "$roots"
	exec 9>"$roots/$name.lock"
	flock 9
	[ "$(cat "$roots/$name.made" 2>/dev/null)" != "$made" ] || exit 0
	say "making $name root"
	as_root rm -rf "$roots/$name"
	# shellcheck disable=SC2086 # a list of words
	if [ "$from" ]; then
		(
			exec 9>"$roots/$from.lock"
			flock 9
			copy_root "$roots/$from" "$roots/$name"
		) && install_packages "$name" $packages
	elif [ "$name" = arm64 ]; then
		unpack_root "$name" trixie arm64 --variant=extract --skip=check/qemu \
			--include='?essential' --include="$(echo "$packages" | tr ' ' ,)" &&
			borrow_programs
	else
		unpack_root "$name" "${name%-base}" "$(dpkg --print-architecture)" \
			--variant=apt --skip=cleanup/apt/lists
	fi >"$log" 2>&1 || { tail -n 30 "$log" >&2; die "cannot make the $name root, see $log"; }
	echo "$made" >"$roots/$name.made"
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
