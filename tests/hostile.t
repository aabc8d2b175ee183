#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# hostile.t: no memory, no processes, calls that fail: each call that preclaim makes of the
# C library fails once, in turn; unit/hostile.c says what must hold then. PRECLAIM_HOSTILE
# names other builds of it.

# shellcheck source-path=SCRIPTDIR source=points.sh
. "$(dirname "$0")/points.sh"

tree=$scratch/tree

# The machine of the fuzz targets, but its VFs have no driver, those for VFIO are modules,
# and on two functions is a disk: a RAID's, and one with swap.
tests/mktree tests/fuzz/machine.manifest "$tree" || exit
rm -r "$tree/sys/bus/pci/drivers/vfio-pci" "$tree"/sys/bus/pci/devices/0000:05:10.?/driver || exit
cat >"$scratch/manifest" <<'END'
sys/bus/pci/drivers_probe = 
sys/class/iommu/dmar0/uevent = 
run/preclaim/policy = policy image\n/etc/preclaim.conf:1 claim 01:00.0 driver=auto\n/etc/preclaim.conf:2 claim 05:00.0\nprotect 0000:00:04.0 8086:1572 /\n
run/preclaim/status = 0000:01:00.0 10de:2204 claim claimed vfio-pci 1 /etc/preclaim.conf:1 80\n
run/udev/data/+pci:0000:01:00.0 = E:ID_VENDOR_FROM_DATABASE=NVIDIA Corporation\nE:ID_MODEL_FROM_DATABASE=GA102\n
lib/modules/6.12/modules.alias = alias vfio_pci:v000010DEd*sv*sd*bc*sc*i* nvgrace_gpu_vfio_pci\n
proc/interrupts = 1: 0 IR-PCI-MSI 1-edge ahci\n
proc/sys/kernel/printk = 7\t4\t1\t7\n
etc/preclaim.conf = claim 01:00.0 driver=auto\nclaim 05:00.0\nkeep 00:04.0\nvfs 05:00.0=3\n
etc/preclaim.d/a.conf = keep vf1@05:00.0 class=02@05:00\n
etc/preclaim.d/b.conf = timeout 5\n
sys/class/block/nvme1n1 -> ../../devices/pci0000:00/0000:00:01.0/0000:01:00.0/nvme/nvme1/nvme1n1
sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/nvme/nvme1/nvme1n1/holders/md0/uevent = 
sys/class/block/nvme2n1 -> ../../devices/pci0000:00/0000:00:02.0/0000:05:10.2/nvme/nvme2/nvme2n1
proc/swaps = Filename Type Size Used Priority\n/dev/nvme2n1 partition 1 0 -2\n
END
tests/mktree "$scratch/manifest" "$tree" || exit
mkdir "$tree/sbin"
# modprobe that registers a driver and binds every device with its override
cat >"$tree/sbin/modprobe" <<'END'
#!/bin/sh
cd "${0%/sbin/modprobe}/sys/bus/pci" || exit
case $2 in pci:*) exit 1 ;; esac
mkdir -p "drivers/$2"
for device in devices/*; do
	read -r override <"$device/driver_override"
	[ "$override" != "$2" ] || [ -e "$device/driver" ] || ln -s "../../../../bus/pci/drivers/$2" "$device/driver"
done
END
chmod 755 "$tree/sbin/modprobe"

# hostile SENTENCE CALLS ERRNO ARGUMENT...
hostile() {
	name=$1
	shift
	for program in ${PRECLAIM_HOSTILE:-build/unit-gcc/hostile}; do
		"$program" "$tree" "$@" >"$scratch/err" 2>&1
		result=$?
		last=$(tail -n 1 "$scratch/err")
		[ "$result" = 0 ]
		ok "$name: $last ($program)"
	done
}

while read -r calls errno command; do
	# shellcheck disable=SC2086 # a list of words
	hostile "$command, $calls fails with $errno" "$calls" "$errno" $command
done <<'END'
memory 12 check
memory 12 check --image
memory 12 check --json
memory 12 list
memory 12 status
memory 12 status --json
memory 12 apply
open 24 check --image
read 4 check
list 5 check --image
list 5 apply
list 5 claim 01:00.0
read 5 claim 05:10.2
write 4 apply
write 5 apply
close 5 status
process 11 apply
wait 4 apply
exec 8 apply
run 30 apply
socket 13 apply --wait
END
end
