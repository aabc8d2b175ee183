/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The nouns that every module shares: text slices, PCI addresses and ids,
 * devices as scanned, and the limits that hold for all of them. Nothing here
 * does anything.
 */
#ifndef PRECLAIM_H
#define PRECLAIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	DRIVER_MAX = 64,	/* a driver's name with its NUL; the kernel's MODULE_NAME_LEN is 56 */
	HOPS_MAX = 32,		/* bridges in a path selector */
	ADDR_MAX = 17,		/* "ffffffff:ff:1f.7" with its NUL */
	PATH_SIZE = 160,	/* any path below the root directory that preclaim makes up itself */
	RECORD_MAX = 900,	/* a record of the kernel's log: printk cuts near 1000 bytes */
	WARNING_SIZE = 256,	/* a way that could not be followed, and why */
	CARRIES_MAX = 64,	/* what a device carries: "/, /boot, swap" */
};

#define ANY_ID 0xffffffffu	/* PCI_ANY_ID of <linux/mod_devicetable.h> */

/* A piece of a longer text, not terminated. */
struct str {
	const char *p;
	size_t len;
};

/* domain:bus:device.function; device and function packed as PCI_DEVFN() of <linux/pci.h> does. */
struct addr {
	uint32_t domain;
	uint8_t bus;
	uint8_t devfn;
};

struct ids {
	uint32_t vendor, device, subvendor, subdevice;
	uint32_t class;		/* 24 bits: base class, subclass, programming interface */
};

/* A PCI function as sysfs showed it at the time of the scan. */
struct device {
	struct addr addr;
	struct ids ids;
	struct addr above, physfn;	/* where the bridge above is, and the PF; its own address where there is none */
	int32_t parent;		/* index of the bridge above, -1 on a root bus */
	int32_t pf;		/* a VF: index of its PF; else -1 */
	int32_t vf_index;	/* a VF: its number below the PF, -1 where it is not known */
	int32_t group;		/* IOMMU group, -1 without one */
	int32_t total_vfs;	/* sriov_totalvfs, 0 without SR-IOV */
	int32_t num_vfs;	/* sriov_numvfs, read where a rule gives it VFs; -1 where the read has not ended */
	int32_t vf_device;	/* a PF: the device id that its VFs have, -1 where it is not known, */
	int32_t vf_offset, vf_stride;	/* and where they will be, counted from the PF; -1 where it is not known */
	bool fenced;		/* sriov_drivers_autoprobe is 0: no driver is probed on a VF without an override */
	bool in_use;		/* a VF: a host driver has it, or a guest */
	char carries[CARRIES_MAX];	/* what the machine needs of it, as protect_add() has put it together; "": nothing */
	bool carries_root;	/* the root file system is among that */
	bool carries_now;	/* on the running host, from which no rule of its boot's takes it */
	bool released;		/* a run has given it back to the host, since it could not be claimed: this one is not to try again */
	bool boot_display;	/* the firmware's console is on it, or it is the only display */
	bool carries_by_ids;	/* it is only known that a device with its ids does */
	char driver[DRIVER_MAX];	/* "" without one */
	char override[DRIVER_MAX];	/* driver_override, "" where unset, "?" where the read has not ended */
	char variant[DRIVER_MAX];	/* what driver=auto means for it, "" where no rule says auto */
	int error;		/* -errno of what is there and could not be read, 0 where all could */
	const char *unread;	/* and its name */
	uint8_t ask;		/* what scan_asked() is to read of it */
	uint8_t hung;		/* and what of that it has not read in time */
};

/* Classes of devices of which it may not be known what the machine needs. */
enum unknown {
	UNKNOWN_STORAGE,	/* mass storage, class 01 */
	UNKNOWN_USB,		/* USB controllers, class 0c03 */
	UNKNOWN_NETWORK,	/* network devices, class 02 */
	UNKNOWN_KINDS
};

struct devices {
	struct device *dev;	/* in the order of their addresses */
	size_t n;
	bool incomplete;	/* a device was left out, since it could not be read */
	bool partial;		/* only some of the machine's were looked at */
	char unknown[UNKNOWN_KINDS][WARNING_SIZE];	/* why it is not known which of a class the machine needs, "": it is */
};

/* The driver names registered on the PCI bus (/sys/bus/pci/drivers). */
struct drivers {
	char (*name)[DRIVER_MAX];
	size_t n;
};

/* Severities of the kernel's log, as in <linux/kern_levels.h>. */
enum level {
	LEVEL_ERR = 3,
	LEVEL_WARNING = 4,
	LEVEL_INFO = 6,
	LEVEL_DEBUG = 7,
};

#endif
