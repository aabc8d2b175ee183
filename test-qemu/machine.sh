# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The words that describe a machine, and its boot. To be sourced after lib.sh, with
# $dir a folder for this boot. An address that is said here is the address in the guest:
# the root port at 00:NN.0 leads to bus NN, as firmware numbers buses in that order.
# shellcheck disable=SC2154 # top, images, dir are the sourcing script's

rm -rf "$dir"
mkdir -p "$dir"
kernel=6.1 image='' iommu=intel cmdline='' seconds=120
touch "$dir/devices" "$dir/bridges" "$dir/qemu-args"

# kernel 6.1|6.1-cloud|6.12|6.1-dracut|6.12-dracut|arm64; image, where it is not that kernel's usual one
kernel() { kernel=$1; }
image() { image=$1; }

# iommu intel|amd|none; arm64's is the SMMUv3
iommu() { iommu=$1; }

# acpi: the arm64 machine has firmware, and tables of that instead of a device tree
acpi() { qemu_arg -bios QEMU_EFI.fd; }

# cmdline WORDS: added to the kernel command line
cmdline() { cmdline="$cmdline $*"; }

# device ADDRESS MODEL [QEMU-PROPERTY...]: on a root port of its own, or behind the
# bridge that leads to its bus
device() { echo "$@" >>"$dir/devices"; }

# bridge ADDRESS MODEL BUS [QEMU-PROPERTY...]: a bridge or switch port that leads to bus BUS
bridge() { echo "$@" >>"$dir/bridges"; }

# qemu_arg WORD...: more options for QEMU, without blanks in them
qemu_arg() { echo "$@" >>"$dir/qemu-args"; }

# patience SECONDS: how long the guest may take
patience() { seconds=$1; }

# overlay PATH [MODE] <TEXT: puts a file into the image, over one that is there
overlay() {
	mkdir -p "$dir/overlay/$(dirname "$1")"
	cat >"$dir/overlay/$1"
	chmod "${2:-644}" "$dir/overlay/$1"
}

# conf TEXT: the rules in the image
conf() { printf '%s\n' "$1" | overlay etc/preclaim.conf; }

# facts TEXT: what update-initramfs finds on this machine as it is when the image is made; a machine
# of which nothing else is said needs none of its devices. without_facts: what it finds where
# no device can be seen, as in the folder in which these images are made.
facts() { printf '%s' "${1:+$1
}" | overlay etc/preclaim.image; }
without_facts() { rm "$dir/overlay/etc/preclaim.image"; }
facts ''

# in_real_root PATH <TEXT: a file of the real root of a complete system, which is mounted for writing
in_real_root() { overlay "preclaim-test/root/$1"; }

# guest <COMMANDS: to be run in the guest before the report, in a complete system in its real root
guest() { overlay preclaim-test/guest; }

# program NAME: test-qemu/NAME.c, built to be run in the guest as /preclaim-test/NAME
program() {
	mkdir -p "$dir/overlay/preclaim-test"
	gcc -Wall -Wextra -Werror -O1 -static -o "$dir/overlay/preclaim-test/$1" "$top/test-qemu/$1.c"
}

# An image without preclaim's udev rules.
without_udev_rules() {
	overlay usr/lib/udev/rules.d/65-preclaim.rules </dev/null
}

# announce_preclaim [COMMAND...]: the kernel's log has each start of preclaim, and by whom. It does
# the same as ever, or the command instead.
announce_preclaim() {
	if [ $# = 0 ]; then
		mkdir -p "$dir/overlay/preclaim-test"
		cp "$build/preclaim" "$dir/overlay/preclaim-test/preclaim"
		set -- exec /preclaim-test/preclaim '"$@"'
	fi
	overlay usr/sbin/preclaim 755 <<-END
		#!/bin/sh
		by=init-top
		[ -z "\${SEQNUM:-}" ] || by="udev: \$ACTION \$2"
		echo "<6>test: started by \$by" >/dev/kmsg
		$*
	END
}

# The same image, only that preclaim does nothing, whoever starts it.
without_preclaim() { announce_preclaim exit 0; }

# A case may define outside(): it runs on this side while the guest does, with these two.

# await REGEX: until the guest's console shows it
await() {
	until grep -Eq "$1" "$dir/console"; do
		kill -0 "$qemu_pid" 2>/dev/null || return 1
		sleep 0.1
	done
}

# qmp JSON: a command for QEMU; what it answers is in $dir/qmp.log
qmp() { echo "$1" >"$dir/qmp.in"; }

# plug MODEL BUS ADDRESS: once the guest has booted, plugs a device into the free root port
# that leads to BUS; the guest waits until ADDRESS has a driver.
plug() {
	plugged="{\"driver\": \"$1\", \"bus\": \"bus$2\", \"romfile\": \"\"}"
	# shellcheck disable=SC2317 # boot() calls it
	outside() {
		await READY || return
		qmp "{\"execute\": \"device_add\", \"arguments\": $plugged}"
	}
	guest <<-END
		echo READY >/dev/ttyS0
		for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
			[ ! -e /sys/bus/pci/devices/0000:$3/driver ] || break
			sleep 1
		done
	END
}

# --- from here on: how that becomes a QEMU ------------------------------------

full_address() { case $1 in *:*:*) echo "$1" ;; *) echo "0000:$1" ;; esac; }

# place ADDRESS: the QEMU properties that put a device there
place() (
	bus=${1%%:*} slot=${1#*:}
	case $bus in 00) bus=pcie.0 ;; *) bus=bus$bus ;; esac
	multi=
	case $slot in
	*.0) grep -q "^${1%.*}\.[1-7] " "$dir/devices" && multi=,multifunction=on ;;
	esac
	echo "bus=$bus,addr=0x$slot$multi"
)

# Root ports, bridges and devices as QEMU's options, one a line.
device_args() (
	last=0
	while read -r address _; do
		bus=$((0x${address%%:*}))
		[ "$bus" -le "$last" ] || last=$bus
	done <"$dir/devices"

	bus=1
	while [ "$bus" -le "$last" ]; do
		number=$(printf %02x "$bus")
		grep -q "^[^ ]* [^ ]* $number\\>" "$dir/bridges" ||
			echo "-device pcie-root-port,id=bus$number,bus=pcie.0,addr=0x$number,chassis=$bus"
		bus=$((bus + 1))
	done

	while read -r address model bus properties; do
		# shellcheck disable=SC2086 # properties are words
		set -- "$model" "id=bus$bus" "$(place "$address")" $properties
		(IFS=, && echo "-device $*")
	done <"$dir/bridges"

	while read -r address model properties; do
		id=$(echo "$address" | tr :. --)
		set -- "$model" "id=dev-$id" "$(place "$address")"
		case $model in
		nvme | virtio-blk-pci)
			case $properties in
			*drive=* | *subsys=*) ;;
			*)
				echo "-blockdev null-co,node-name=disk-$id,size=67108864,read-zeroes=on"
				set -- "$@" "drive=disk-$id"
				;;
			esac
			[ "$model" != nvme ] || set -- "$@" "serial=$id"
			;;
		# No boot ROM: iPXE would take seconds.
		e1000 | e1000e | igb | virtio-net-pci) set -- "$@" romfile= ;;
		esac
		# shellcheck disable=SC2086 # properties are words
		set -- "$@" $properties
		(IFS=, && echo "-device $*")
	done <"$dir/devices"
)

# prepare IMAGE: makes it, if it isn't there yet. Those that have made their own redefine it.
prepare() { "$top/test-qemu/image" "$1"; }

# The kernel reports each PCI driver's probe that really runs (where the names are in
# its structures depends on the version), and driver core's decisions besides.
# shellcheck disable=SC2016 # $arg1 is for the kernel
judge_parameters() {
	case $kernel in
	6.1 | 6.1-*) drv='+0(+16(+0($arg1)))' dev='+0(+208(+8($arg1)))' ;;
	6.12 | 6.12-* | arm64) drv='+0(+0(+0($arg1)))' dev='+0(+200(+8($arg1)))' ;;
	7.*) drv='+0(+0(+0($arg1)))' dev='+0(+208(+8($arg1)))' ;;
	esac
	echo "tp_printk kprobe_event=p:lp,local_pci_probe,drv=$drv:string,dev=$dev:string" \
		"dyndbg=\"file drivers/base/dd.c +p\" log_buf_len=8M"
}

# boot: false if the guest did not end by itself in time. Leaves console and report.
boot() {
	image=${image:-$kernel}
	prepare "$image" || { echo "there is no image $image" >"$dir/qemu.log" && return 1; }
	# dracut wants to know of a root file system, though no boot gets that far.
	case $kernel in *-dracut) cmdline=" root=/dev/vda$cmdline" ;; esac
	case $kernel in
	arm64)
		export QEMU_TARGET=aarch64
		iommu=none tty=ttyAMA0
		machine='virt,iommu=smmuv3,gic-version=3 -cpu cortex-a57'
		;;
	*) tty=ttyS0 machine='q35 -cpu qemu64' ;;
	esac
	case $iommu in
	intel) set -- -device intel-iommu,intremap=on,caching-mode=on ;;
	# iommu=pt, or this QEMU's emulation breaks the guest's own DMA.
	amd) set -- -device amd-iommu && cmdline=" iommu=pt$cmdline" ;;
	none) set -- ;;
	esac
	# The IOMMU comes last: AMD's is a PCI function and takes the first free slot.
	# no_timer_check, nosoftlockup: where other work keeps the emulator from its processor, the
	# kernel finds that no timer interrupt has come in time and panics, or that it is stuck.
	# shellcheck disable=SC2046,SC2086 # options without blanks in them
	set -- -machine $machine -accel tcg -smp 1 -m 1G \
		-nodefaults -no-user-config -display none -no-reboot \
		-serial "file:$dir/console" -serial "file:$dir/report" \
		-kernel "$images/$kernel.vmlinux" \
		-initrd "$dir/initrd" \
		-append "console=$tty panic=-1 cryptomgr.notests no_timer_check nosoftlockup $(judge_parameters)$cmdline" \
		$(cat "$dir/qemu-args") $(device_args) "$@"

	# A later archive's files replace an earlier one's.
	# Where boot's own status is asked for, set -e is off in it.
	cp "$images/$image.initrd" "$dir/initrd" || return
	if [ -d "$dir/overlay" ]; then
		truncate -s %4 "$dir/initrd" &&
			(cd "$dir/overlay" && find . | cpio --quiet -R 0:0 -o -H newc) >>"$dir/initrd" || return
	fi

	: >"$dir/console"
	if command -v outside >/dev/null; then
		mkfifo "$dir/qmp.in" "$dir/qmp.out"
		set -- "$@" -qmp "pipe:$dir/qmp"
		cat "$dir/qmp.out" >"$dir/qmp.log" &
	fi
	echo "$@" >"$dir/command"
	timeout --foreground "$seconds" "$top/test-qemu/qemu" "$@" \
		</dev/null >"$dir/qemu.log" 2>&1 &
	qemu_pid=$!
	if command -v outside >/dev/null; then
		qmp '{"execute": "qmp_capabilities"}'
		outside || echo "outside: failed" >>"$dir/qemu.log"
	fi
	boot_status=0
	wait "$qemu_pid" || boot_status=$?
	rm -f "$dir/initrd"
	return $boot_status
}
