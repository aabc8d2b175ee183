// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The host's side: the machine, its devices and what became of the rules, as
 * a user reads them. Nothing is changed and nothing decided here.
 */
#include "show.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "describe.h"
#include "report.h"
#include "scan.h"
#include "text.h"
#include "token.h"

enum { CELL_MAX = 256, COLUMNS_MAX = 10 };

/* Rows of cells, printed when all are known. */
struct table {
	char **cell;
	size_t n, room, columns;
	bool failed;
};

static void add_cell(struct table *table, const char *text)
{
	char plain[4 * CELL_MAX], *copy;
	struct text t = text_in(plain, sizeof(plain));

	text_plain(&t, str_of(text[0] ? text : "-"));
	copy = strdup(plain);

	if (table->n == table->room) {
		size_t room = table->room ? 2 * table->room : 256;
		char **bigger = realloc(table->cell, room * sizeof(*bigger));

		if (bigger) {
			table->cell = bigger;
			table->room = room;
		}
	}
	if (copy && table->n < table->room)
		table->cell[table->n++] = copy;
	else {
		table->failed = true;
		free(copy);
	}
}

static struct table new_table(const char *const *heading, size_t columns)
{
	struct table table = { .columns = columns };

	for (size_t c = 0; c < columns; c++)
		add_cell(&table, heading[c]);
	return table;
}

static int print_table(struct table *table)
{
	size_t width[COLUMNS_MAX] = { 0 };
	bool aligned = isatty(STDOUT_FILENO);

	for (size_t i = 0; i < table->n; i++)
		if (strlen(table->cell[i]) > width[i % table->columns])
			width[i % table->columns] = strlen(table->cell[i]);
	for (size_t i = 0; i < table->n && !table->failed; i++) {
		size_t c = i % table->columns;

		if (c + 1 == table->columns)
			printf("%s\n", table->cell[i]);
		else if (aligned)
			printf("%-*s  ", (int)width[c], table->cell[i]);
		else
			printf("%s\t", table->cell[i]);
	}
	for (size_t i = 0; i < table->n; i++)
		free(table->cell[i]);
	free(table->cell);
	return table->failed ? -ENOMEM : 0;
}

/* A file's text, where there is one; the caller frees data. *starved where memory was short, or as it was. */
static struct str read_text(const struct root *root, const char *path, char **data, bool *starved)
{
	struct str text = { .len = 0 };
	int r = sysfs_read_all(root, path, data, &text.len);

	if (r < 0)
		*data = NULL;
	*starved |= r == -ENOMEM;
	text.p = *data;
	return text;
}

/* The value of a line "E:KEY=VALUE" in the text of udev's record of a device. */
static void udev_property(struct str text, const char *key, struct text *t)
{
	struct str line;

	while (token_line(&text, &line)) {
		if (!str_starts(line, "E:") || !str_starts(str_skip(line, 2), key))
			continue;
		line = str_skip(line, 2 + strlen(key));
		for (size_t i = 0; i < line.len; i++)
			if (line.p[i] >= ' ' && line.p[i] < 0x7f)
				text_add(t, "%c", line.p[i]);
		return;
	}
}

/* Class and name in words, as udev has them from its hardware database; "" where it has none. */
static void find_names(const struct device *d, const struct root *root, char class[CELL_MAX], char name[CELL_MAX], bool *starved)
{
	char path[PATH_SIZE], addr[ADDR_MAX], *data;
	struct text t = text_in(path, sizeof(path));
	struct str record;

	text_add(&t, "run/udev/data/+pci:%s", text_addr(addr, d->addr));
	record = read_text(root, path, &data, starved);
	t = text_in(class, CELL_MAX);
	udev_property(record, "ID_PCI_SUBCLASS_FROM_DATABASE=", &t);
	t = text_in(name, CELL_MAX);
	udev_property(record, "ID_VENDOR_FROM_DATABASE=", &t);
	text_add(&t, t.len ? " " : "");
	udev_property(record, "ID_MODEL_FROM_DATABASE=", &t);
	free(data);
}

/* A base class in words (<linux/pci_ids.h>, PCI_BASE_CLASS_*). */
static const char *base_class(uint32_t base)
{
	static const char *const name[] = {
		"old", "storage", "network", "display", "multimedia", "memory", "bridge", "communication", "system", "input",
		"docking", "processor", "serial bus", "wireless", "intelligent I/O", "satellite", "encryption", "signal processing",
		"accelerator",
	};

	return base < sizeof(name) / sizeof(name[0]) ? name[base] : "other";
}

static void add_names(struct table *table, const struct device *d, const struct root *root)
{
	char class[CELL_MAX], name[CELL_MAX];
	struct text t = text_in(class, sizeof(class));

	find_names(d, root, class, name, &table->failed);
	if (!class[0])
		text_add(&t, "%s %06x", base_class(d->ids.class >> 16), d->ids.class);
	add_cell(table, class);
	add_cell(table, name);
}

static bool claim_holds(const struct device *d, const struct verdict *v)
{
	return strcmp(d->driver, driver_is_none(v->driver) ? "" : v->driver) == 0 && strcmp(d->override, v->driver) == 0;
}

/* What is to be known about a device before it is claimed, and whether it is. */
static void add_marks(struct table *table, const struct plan *plan, size_t i)
{
	const struct device *d = &plan->devices->dev[i];
	char cell[CELL_MAX];
	struct text t = text_in(cell, sizeof(cell));

	if (plan->verdict[i].action == ACTION_CLAIM)
		text_add(&t, claim_holds(d, &plan->verdict[i]) ? "claimed" : "to be claimed");
	if (d->carries[0])
		text_add(&t, "%sprotected (%s)", t.len ? ", " : "", d->carries);
	if (d->boot_display)
		text_add(&t, "%sboot display", t.len ? ", " : "");
	add_cell(table, cell);
}

static void add_rule(struct table *table, const struct plan *plan, int32_t rule, int32_t selector)
{
	char cell[CELL_MAX];
	struct text t = text_in(cell, sizeof(cell));

	if (rule >= 0)
		describe_rule(plan, rule, selector, &t);
	add_cell(table, rule >= 0 ? cell + strlen("rule ") : "");
}

static void add_ids(struct table *table, const struct device *d)
{
	char cell[CELL_MAX];
	struct text t = text_in(cell, sizeof(cell));

	text_add(&t, "%04x:%04x", d->ids.vendor, d->ids.device);
	add_cell(table, cell);
}

static void add_device(struct table *table, const struct plan *plan, size_t i, const struct root *root)
{
	const struct device *d = &plan->devices->dev[i];
	const struct verdict *v = &plan->verdict[i];
	char cell[CELL_MAX], addr[ADDR_MAX];
	struct text t = text_in(cell, sizeof(cell));

	if (d->group >= 0)
		text_add(&t, "%d", d->group);
	add_cell(table, cell);
	add_cell(table, text_addr(addr, d->addr));
	add_ids(table, d);
	add_cell(table, d->driver);
	add_cell(table, d->override);
	t = text_in(cell, sizeof(cell));
	if (d->total_vfs > 0)
		text_add(&t, d->num_vfs < 0 ? "?/%d" : "%d/%d", d->num_vfs < 0 ? d->total_vfs : d->num_vfs, d->total_vfs);
	else if (d->pf >= 0)
		text_add(&t, "of %s", text_addr(addr, plan->devices->dev[d->pf].addr));
	add_cell(table, cell);
	add_marks(table, plan, i);
	add_rule(table, plan, v->vfs_rule >= 0 ? v->vfs_rule : v->rule, v->vfs_rule >= 0 ? v->vfs_selector : v->selector);
	add_names(table, d, root);
}

int show_devices(const struct plan *plan, const struct root *root)
{
	static const char *const heading[] = { "GROUP", "ADDRESS", "IDS", "DRIVER", "OVERRIDE", "VFS", "MARKS", "RULE", "CLASS", "NAME" };
	struct table table = new_table(heading, sizeof(heading) / sizeof(heading[0]));
	size_t n = plan->devices->n, first = 0;

	/* those without a group come first in by_group, and last here */
	while (first < n && plan->by_group[first].group < 0)
		first++;
	for (size_t k = 0; k < n; k++)
		add_device(&table, plan, (size_t)plan->by_group[(first + k) % n].dev, root);
	return print_table(&table);
}

/* The result of an earlier run for a device, from a line ADDRESS IDS ACTION RESULT ...; "" without one. */
static void find_result(struct str status, const struct device *d, struct text *t)
{
	struct str line, word = { .len = 0 };

	while (token_line(&status, &line)) {
		struct addr a;

		if (!scan_addr(&line, &a) || addr_compare(a, d->addr) != 0)
			continue;
		for (int i = 0; i < 3 && token_word(&line, BLANKS, &word); i++)
			;
		text_add(t, "%.*s", (int)word.len, word.p);
	}
}

static bool vfs_hold(const struct plan *plan, size_t i)
{
	return plan->verdict[i].vfs < 0 || plan->verdict[i].vfs == plan->devices->dev[i].num_vfs;
}

static bool verdict_holds(const struct plan *plan, size_t i)
{
	const struct verdict *v = &plan->verdict[i];

	return v->action == ACTION_CLAIM ? claim_holds(&plan->devices->dev[i], v) : v->action != ACTION_REFUSE;
}

bool show_holds(const struct plan *plan)
{
	bool holds = plan_holds(plan);

	for (size_t i = 0; i < plan->devices->n; i++)
		holds &= verdict_holds(plan, i) && vfs_hold(plan, i);
	return holds;
}

/* One row: what was wanted of a device, by its own rule or for its VFs. */
static void add_wanted(struct table *table, const struct plan *plan, size_t i, bool vfs, struct str status)
{
	const struct device *d = &plan->devices->dev[i];
	const struct verdict *v = &plan->verdict[i];
	char cell[CELL_MAX], addr[ADDR_MAX];
	struct text t = text_in(cell, sizeof(cell));

	add_cell(table, text_addr(addr, d->addr));
	add_ids(table, d);
	if (vfs)
		text_add(&t, "vfs %d", v->vfs);
	else
		text_add(&t, "%s%s%s", describe_action(v->action), v->driver[0] ? " " : "", v->driver);
	add_cell(table, cell);
	t = text_in(cell, sizeof(cell));
	find_result(status, d, &t);
	add_cell(table, cell);
	t = text_in(cell, sizeof(cell));
	if (vfs)
		text_add(&t, d->num_vfs < 0 ? "? VFs" : "%d VFs", d->num_vfs);
	else
		text_add(&t, "%s", d->driver[0] ? d->driver : "no driver");
	add_cell(table, cell);
	add_cell(table, (vfs ? vfs_hold(plan, i) : verdict_holds(plan, i)) ? "yes" : "NO");
	add_rule(table, plan, vfs ? v->vfs_rule : v->rule, vfs ? v->vfs_selector : v->selector);
}

int show_status(const struct plan *plan, const struct root *root)
{
	static const char *const heading[] = { "ADDRESS", "IDS", "WANTED", "HAPPENED", "NOW", "HOLDS", "RULE" };
	struct table table = new_table(heading, sizeof(heading) / sizeof(heading[0]));
	char *data;
	struct str status = read_text(root, "run/preclaim/status", &data, &table.failed);
	int r;

	for (size_t i = 0; i < plan->devices->n; i++) {
		if (plan->verdict[i].vfs >= 0)
			add_wanted(&table, plan, i, true, status);
		if (plan->verdict[i].action != ACTION_NONE)
			add_wanted(&table, plan, i, false, status);
	}
	r = print_table(&table);
	free(data);
	return r;
}

/* What kind of IOMMU a name in sys/class/iommu is. */
static int take_iommu(void *ctx, const char *name)
{
	static const struct {
		const char *prefix, *kind;
	} known[] = { { "dmar", "VT-d" }, { "ivhd", "AMD-Vi" }, { "arm-smmu", "SMMU" }, { "smmu", "SMMU" }, { "virtio", "virtio" } };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strncmp(name, known[i].prefix, strlen(known[i].prefix)) == 0)
			*(const char **)ctx = known[i].kind;
	return 0;
}

/* Whether a file has a text in it. */
static bool has_text(const struct root *root, const char *path, const char *wanted, bool *starved)
{
	char *data;
	bool has;

	read_text(root, path, &data, starved);
	has = data && strstr(data, wanted);
	free(data);
	return has;
}

/* What passthrough needs of the machine. */
struct platform {
	const char *iommu;	/* NULL: none in use */
	bool remapping, unsafe;
	const char *vfio;
	bool starved;		/* memory was short: it is not all true */
};

static struct platform find_platform(const struct plan *plan, const struct drivers *drivers, const struct root *root)
{
	struct platform p = { .vfio = "not loaded" };

	for (size_t i = 0; i < plan->devices->n; i++)
		if (plan->devices->dev[i].group >= 0)
			p.iommu = "of an unknown kind";
	if (p.iommu)
		p.starved = sysfs_list(root, "sys/class/iommu", take_iommu, &p.iommu) == -ENOMEM;
	if (driver_registered(drivers, str_of("vfio-pci")))
		p.vfio = sysfs_exists(root, "sys/module/vfio_pci/initstate") ? "a module, loaded" : "built in";
	/* the names of its interrupt chips tell (drivers/iommu/intel/irq_remapping.c, amd/iommu.c) */
	p.remapping = has_text(root, "proc/interrupts", "IR-", &p.starved);
	p.unsafe = has_text(root, "sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "Y", &p.starved);
	return p;
}

int show_platform(const struct plan *plan, const struct drivers *drivers, const struct root *root)
{
	struct platform p = find_platform(plan, drivers, root);
	char *cmdline;

	read_text(root, "proc/cmdline", &cmdline, &p.starved);
	if (p.iommu)
		printf("platform: IOMMU %s, interrupt remapping %s", p.iommu, p.remapping ? "on" : "not seen");
	else
		printf("platform: no IOMMU in use");
	printf("%s, vfio-pci %s\n", p.unsafe ? ", unsafe interrupts allowed" : "", p.vfio);
	if (cmdline) {
		printf("command line: ");
		for (const char *c = cmdline; *c && *c != '\n'; c++) {
			char byte[sizeof("\\xHH")];
			struct text t = text_in(byte, sizeof(byte));

			text_plain(&t, (struct str){ .p = c, .len = 1 });
			fputs(byte, stdout);
		}
		putchar('\n');
	}
	free(cmdline);
	return p.starved ? -ENOMEM : 0;
}

/* A text, or null for none. */
static void json_string(const char *value)
{
	if (!value[0]) {
		printf("null");
		return;
	}
	putchar('"');
	for (; *value; value++) {
		unsigned char c = (unsigned char)*value;

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < ' ' || c >= 0x7f)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

/* Members of an object. */
static void json_text(const char *before, const char *key, const char *value)
{
	printf("%s\"%s\": ", before, key);
	json_string(value);
}

static void json_bool(const char *before, const char *key, bool value)
{
	printf("%s\"%s\": %s", before, key, value ? "true" : "false");
}

/* A number, where it is one that a device can have. */
static void json_number(const char *before, const char *key, int32_t value)
{
	if (value < 0)
		printf("%s\"%s\": null", before, key);
	else
		printf("%s\"%s\": %d", before, key, value);
}

/* What the rules want of a device, and what became of it. */
static void json_wanted(const struct plan *plan, size_t i, struct str status)
{
	const struct verdict *v = &plan->verdict[i];
	const struct device *d = &plan->devices->dev[i];
	char cell[CELL_MAX] = "";
	struct text t = text_in(cell, sizeof(cell));

	json_text(", ", "action", v->action == ACTION_NONE ? "" : describe_action(v->action));
	json_text(", ", "wanted_driver", v->action == ACTION_CLAIM ? v->driver : "");
	if (v->action != ACTION_NONE)
		describe_rule(plan, v->rule, v->selector, &t);
	json_text(", ", "rule", cell + (cell[0] ? strlen("rule ") : 0));
	json_number(", ", "wanted_vfs", v->vfs);
	t = text_in(cell, sizeof(cell));
	if (v->vfs >= 0)
		describe_rule(plan, v->vfs_rule, v->vfs_selector, &t);
	json_text(", ", "vfs_rule", cell + (cell[0] ? strlen("rule ") : 0));
	t = text_in(cell, sizeof(cell));
	find_result(status, d, &t);
	json_text(", ", "happened", cell);
	json_bool(", ", "holds", verdict_holds(plan, i) && vfs_hold(plan, i));
}

static void json_device(const struct plan *plan, size_t i, const struct root *root, struct str status, bool *starved)
{
	const struct device *d = &plan->devices->dev[i];
	char cell[CELL_MAX], class[CELL_MAX], name[CELL_MAX], addr[ADDR_MAX];
	struct text t = text_in(cell, sizeof(cell));

	json_text("    { ", "address", text_addr(addr, d->addr));
	text_add(&t, "%04x:%04x:%04x:%04x", d->ids.vendor, d->ids.device, d->ids.subvendor, d->ids.subdevice);
	json_text(", ", "ids", cell);
	t = text_in(cell, sizeof(cell));
	text_add(&t, "%06x", d->ids.class);
	json_text(", ", "class", cell);
	find_names(d, root, class, name, starved);
	json_text(", ", "class_name", class);
	json_text(", ", "name", name);
	json_number(", ", "group", d->group);
	json_text(", ", "driver", d->driver);
	json_text(", ", "override", d->override);
	json_text(", ", "pf", d->pf >= 0 ? text_addr(addr, plan->devices->dev[d->pf].addr) : "");
	json_number(", ", "vfs", d->total_vfs > 0 ? d->num_vfs : -1);
	json_number(", ", "total_vfs", d->total_vfs > 0 ? d->total_vfs : -1);
	json_text(", ", "carries", d->carries);
	json_bool(", ", "boot_display", d->boot_display);
	json_wanted(plan, i, status);
	printf(" }");
}

int show_json(const struct plan *plan, const struct drivers *drivers, const struct root *root, bool all)
{
	struct platform p = find_platform(plan, drivers, root);
	const char *comma = "\n";
	char line[RECORD_MAX], *data;
	struct str status = read_text(root, "run/preclaim/status", &data, &p.starved);

	printf("{\n  \"version\": 1,\n  \"platform\": { ");
	json_text("", "iommu", p.iommu ? p.iommu : "");
	json_bool(", ", "interrupt_remapping", p.remapping);
	json_bool(", ", "unsafe_interrupts", p.unsafe);
	json_text(", ", "vfio_pci", p.vfio);
	printf(" },\n  \"devices\": [");
	for (size_t i = 0; i < plan->devices->n; i++) {
		if (!all && plan->verdict[i].action == ACTION_NONE && plan->verdict[i].vfs < 0)
			continue;
		printf("%s", comma);
		json_device(plan, i, root, status, &p.starved);
		comma = ",\n";
	}
	printf("\n  ],\n  \"steps\": [");
	comma = "\n";
	for (size_t i = 0; i < plan->steps; i++) {
		struct text t = text_in(line, sizeof(line));

		describe_step(plan, &plan->step[i], &t);
		printf("%s    ", comma);
		json_string(line);
		comma = ",\n";
	}
	printf("\n  ],\n  \"messages\": [");
	comma = "\n";
	for (size_t i = 0; i < plan->notes; i++) {
		struct text t = text_in(line, sizeof(line));

		describe_note(plan, &plan->note[i], &t);
		printf("%s    { ", comma);
		json_number("", "level", (int32_t)plan->note[i].level);
		json_text(", ", "text", line);
		printf(" }");
		comma = ",\n";
	}
	printf("\n  ]\n}\n");
	free(data);
	return p.starved ? -ENOMEM : 0;
}
