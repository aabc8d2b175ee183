// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * No operation that fails, hangs or is cut short makes preclaim misbehave, and
 * neither does a world that changes under it. For each machine and each command
 * that changes something, every operation is hit in turn with every kind of
 * trouble, until a run has fewer operations than that. What holds is asked of
 * the model kernel, never of preclaim.
 *
 * Under the name of all-faults it tries everything that is asked of the kernel,
 * memory included; as some-faults with a sixth of the kinds each, and as
 * few-faults only what is written and started.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../src/run.h"
#include "model.h"
#include "tap.h"

enum { WANTED_MAX = 24, TEXT_MAX = 65536, LIMIT_S = 20, AT_ONCE = 4 };

/* How a command is run. */
enum state {
	STATE_BOOT,	/* in the initramfs: the machine as it is in its manifest, and an image's facts; then the host's drivers come */
	STATE_UDEV,	/* from udev, the host's drivers being there */
	STATE_HOST,	/* by hand on a running host */
	STATE_CLAIMED,	/* the same, the device being claimed */
};

struct scenario {
	const char *machine, *name;
	enum state state;
	enum command command;
	const char *conf;
	const char *words[3];
	/*
	 * What is to hold: ADDRESS=DRIVER, ADDRESS=none, ADDRESS=host for one that is given
	 * back; ADDRESS*N for VFs; ADDRESS! for a fence.
	 */
	const char *expect;
	int status;	/* of an undisturbed run */
};

#define CLAIM(machine, device, ...) \
	{ machine, "claim", STATE_HOST, COMMAND_CLAIM, NULL, { __VA_ARGS__ }, device, 0 }
#define RELEASE(machine, device, ...) \
	{ machine, "release", STATE_CLAIMED, COMMAND_RELEASE, NULL, { __VA_ARGS__ }, device "=host", 0 }
#define UDEV(machine, conf, device, expect) \
	{ machine, "apply from udev", STATE_UDEV, COMMAND_APPLY, conf, { device }, expect, 0 }
#define BOOT(machine, conf, expect, status) \
	{ machine, "apply", STATE_BOOT, COMMAND_APPLY, conf, { NULL }, expect, status }

#define NO_IOMMU "claim 03:00.0 01:00.0 driver=pci-stub\nclaim 01:00.1 driver=none\n"
#define ONE_GPU "group claim\nclaim 01:00.0 03:00.0\n"
#define SHARED "group claim\non-failure release\nclaim 04:02.0\nclaim 01:00.0\n"
#define TWO_GPUS "group refuse\nclaim 10de:*\nkeep 09:00\nclaim 0b:00.4 driver=none\n"
#define VMD "claim 10000:e1:00.0\nclaim 2c:00.0 driver=uio_pci_generic\n"
#define BUILTIN "claim 03:00.0\nclaim 02:00.0 driver=uio_pci_generic\n"
#define FOUR "claim class=0108\nkeep 5e:00.0\nvfs 3b:00.0=2\n"
#define SRIOV "vfs 05:00.1=2\nvfs 06:00.1=2\nkeep vf1@06:00.1\nclaim vf0@05:00.0\n"
#define SRIOV_HOLDS "0000:05:00.0! 0000:05:10.0=vfio-pci 0000:05:00.1! 0000:05:00.1*2 0000:05:10.1=vfio-pci 0000:05:10.3=vfio-pci " \
	"0000:06:00.1! 0000:06:00.1*2 0000:06:0a.0=vfio-pci 0000:06:0a.1=igbvf"
#define SWITCHES "on-failure release\nclaim 43:00.0\nclaim class=0302\nclaim 46:00.1 driver=uio_pci_generic\n"

static const struct scenario scenarios[] = {
	BOOT("desktop-no-iommu", NO_IOMMU, "0000:03:00.0=pci-stub 0000:01:00.0=pci-stub 0000:01:00.1=none", 0),
	UDEV("desktop-no-iommu", NO_IOMMU, "0000:03:00.0", "0000:03:00.0=pci-stub"),
	CLAIM("desktop-no-iommu", "0000:03:00.0=pci-stub", "03:00.0", "driver=pci-stub"),
	RELEASE("desktop-no-iommu", "0000:03:00.0", "03:00.0"),
	BOOT("desktop-one-gpu", ONE_GPU, "0000:01:00.0=vfio-pci 0000:01:00.1=vfio-pci 0000:01:00.2=vfio-pci 0000:01:00.3=vfio-pci 0000:03:00.0=vfio-pci", 0),
	UDEV("desktop-one-gpu", ONE_GPU, "0000:03:00.0", "0000:03:00.0=vfio-pci"),
	CLAIM("desktop-one-gpu", "0000:01:00.0=vfio-pci 0000:01:00.1=vfio-pci 0000:01:00.2=vfio-pci 0000:01:00.3=vfio-pci", "01:00"),
	RELEASE("desktop-one-gpu", "0000:03:00.0", "03:00.0"),
	BOOT("desktop-shared-groups", SHARED, "0000:04:00.0=vfio-pci 0000:04:01.0=vfio-pci 0000:04:02.0=vfio-pci 0000:01:00.0=vfio-pci 0000:01:00.1=vfio-pci", 0),
	UDEV("desktop-shared-groups", SHARED, "0000:04:02.0", "0000:04:02.0=vfio-pci"),
	CLAIM("desktop-shared-groups", "0000:04:02.0=vfio-pci", "04:02.0"),
	RELEASE("desktop-shared-groups", "0000:04:02.0", "04:02.0"),
	BOOT("desktop-two-gpus", TWO_GPUS, "0000:08:00.0=vfio-pci 0000:08:00.1=vfio-pci 0000:0b:00.4=none", 0),
	UDEV("desktop-two-gpus", TWO_GPUS, "0000:08:00.1", "0000:08:00.1=vfio-pci"),
	CLAIM("desktop-two-gpus", "0000:08:00.0=vfio-pci 0000:08:00.1=vfio-pci", "group@08:00.0"),
	RELEASE("desktop-two-gpus", "0000:08:00.1", "08:00.1"),
	BOOT("laptop-vmd", VMD, "10000:e1:00.0=vfio-pci 0000:2c:00.0=uio_pci_generic", 0),
	UDEV("laptop-vmd", VMD, "10000:e1:00.0", "10000:e1:00.0=vfio-pci"),
	CLAIM("laptop-vmd", "10000:e1:00.0=vfio-pci", "10000:e1:00.0"),
	RELEASE("laptop-vmd", "10000:e1:00.0", "10000:e1:00.0"),
	BOOT("none", "claim 10de:2204\n", "", 1),
	BOOT("server-builtin-nvme", BUILTIN, "0000:03:00.0=vfio-pci 0000:02:00.0=uio_pci_generic", 0),
	UDEV("server-builtin-nvme", BUILTIN, "0000:03:00.0", "0000:03:00.0=vfio-pci"),
	CLAIM("server-builtin-nvme", "0000:01:00.0=vfio-pci", "01:00.0"),
	RELEASE("server-builtin-nvme", "0000:03:00.0", "03:00.0"),
	BOOT("server-four-nvme", FOUR, "0000:5f:00.0=vfio-pci 0000:60:00.0=vfio-pci 0000:61:00.0=vfio-pci 0000:3b:00.0!", 0),
	UDEV("server-four-nvme", FOUR, "0000:3b:00.0", "0000:3b:00.0! 0000:3b:00.0*2 0000:3b:02.0=vfio-pci 0000:3b:02.1=vfio-pci"),
	CLAIM("server-four-nvme", "0000:60:00.0=vfio-pci", "60:00.0"),
	RELEASE("server-four-nvme", "0000:60:00.0", "60:00.0"),
	BOOT("server-sriov", SRIOV, SRIOV_HOLDS, 0),
	UDEV("server-sriov", SRIOV, "0000:05:00.1", "0000:05:00.1! 0000:05:00.1*2 0000:05:10.1=vfio-pci 0000:05:10.3=vfio-pci"),
	{ "server-sriov", "apply on a running host", STATE_HOST, COMMAND_APPLY, SRIOV, { NULL }, SRIOV_HOLDS, 0 },
	CLAIM("server-sriov", "0000:05:10.0=vfio-pci 0000:06:02.1=vfio-pci", "vf0@05:00.0", "06:02.1"),
	RELEASE("server-sriov", "0000:05:10.2", "05:10.2"),
	BOOT("server-switches", SWITCHES, "0000:43:00.0=vfio-pci 0000:48:00.0=vfio-pci 0000:46:00.1=uio_pci_generic", 0),
	UDEV("server-switches", SWITCHES, "0000:48:00.0", "0000:48:00.0=vfio-pci"),
	CLAIM("server-switches", "0000:48:00.0=vfio-pci", "48:00.0"),
	RELEASE("server-switches", "0000:48:00.0", "48:00.0"),
};

#define BIT(verb) (1u << VERB_##verb)
enum {
	STARTS = BIT(MODPROBE),
	WRITES = BIT(WRITE) | BIT(APPEND) | BIT(REPLACE) | BIT(LOCK),
	READS = BIT(ENTER) | BIT(LIST) | BIT(READ) | BIT(READ_ALL) | BIT(LINK) | BIT(EXISTS) | BIT(MAY_WRITE) | BIT(TRY),
	KERNEL = STARTS | WRITES | READS,
};

/* The kinds of trouble, and the operations that each can hit. */
static const struct kind {
	const char *name;
	enum effect effect;
	int number;	/* errno, or of EFFECT_SLOW the milliseconds */
	unsigned verbs;
} kinds[] = {
	{ "ENOENT", EFFECT_FAIL, ENOENT, KERNEL },
	{ "ENODEV", EFFECT_FAIL, ENODEV, KERNEL },
	{ "EBUSY", EFFECT_FAIL, EBUSY, KERNEL },
	{ "EINVAL", EFFECT_FAIL, EINVAL, KERNEL },
	{ "EIO", EFFECT_FAIL, EIO, KERNEL },
	{ "ENOMEM", EFFECT_FAIL, ENOMEM, KERNEL | BIT(MALLOC) | BIT(FORK) | BIT(PIPE) },
	{ "EAGAIN", EFFECT_FAIL, EAGAIN, KERNEL | BIT(FORK) },
	{ "EINTR", EFFECT_FAIL, EINTR, KERNEL },
	{ "EMFILE", EFFECT_FAIL, EMFILE, BIT(PIPE) },
	{ "EIO for good", EFFECT_FAIL_ON, EIO, KERNEL },
	{ "cut short", EFFECT_SHORT, 0, WRITES | STARTS | BIT(LIST) },
	{ "SIGKILL", EFFECT_KILL, 0, KERNEL | BIT(FORK) },
	{ "a device vanishes", EFFECT_VANISH, 0, KERNEL },
	{ "VFs appear", EFFECT_VFS, 0, KERNEL },
	{ "host drivers are loaded", EFFECT_DRIVERS, 0, KERNEL },
	{ "a hang", EFFECT_HANG, 0, KERNEL },
	/* as long as steps.c lets all others wait for it */
	{ "200 ms", EFFECT_SLOW, 200, KERNEL },
	{ "3 s", EFFECT_SLOW, 3000, KERNEL },
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/* One thing that is to hold. */
struct wanted {
	int dev;
	char what;	/* '=', '*' or '!' */
	char value[DRIVER_MAX];
};

struct outcome {
	bool ended;
	int status;			/* of the exit, or 128 and the signal */
	char text[TEXT_MAX];		/* all that was told, a line each, without what stands before the message */
};

static struct model *m;
static unsigned failures;	/* of the scenario */
static struct {
	struct model_device device[MODEL_DEVICES];
	char driver[MODEL_DRIVERS][DRIVER_MAX];
} known[64];			/* what a run was seen to repair, or not */
static int n_known;
static bool everything;
static unsigned every;		/* so many kinds of trouble take turns at an operation */
static struct wanted wanted[WANTED_MAX];
static int n_wanted;
static struct model initial, final;	/* undisturbed: before a run, and after the next */
static int final_status;
static int error_file = -1;

/* An alarm only ends waitpid(). */
static void ignore(int signal)
{
	(void)signal;
}

static void parse_wanted(const char *expect)
{
	n_wanted = 0;
	while (*expect) {
		struct wanted *w = &wanted[n_wanted++];
		size_t n = strcspn(expect, "=*!"), end = strcspn(expect, " ");
		char addr[ADDR_MAX];

		snprintf(addr, sizeof(addr), "%.*s", (int)n, expect);
		*w = (struct wanted){ .dev = model_find(addr), .what = expect[n] };
		if (w->dev < 0 || n >= end)
			fprintf(stderr, "what is \"%s\"?\n", expect), exit(2);
		snprintf(w->value, sizeof(w->value), "%.*s", (int)(end - n - 1), expect + n + 1);
		expect += end + (expect[end] == ' ');
	}
}

static bool holds(const struct wanted *w)
{
	const struct model_device *d = &m->device[w->dev];

	if (w->what == '!')
		return d->fenced;
	if (w->what == '*')
		return d->num_vfs == atoi(w->value);
	if (d->gone)
		return false;
	if (strcmp(w->value, "none") == 0)
		return !d->driver[0] && strcmp(d->override, "none") == 0;
	if (strcmp(w->value, "host") == 0)
		return !d->override[0] && d->native && strcmp(d->driver, d->native) == 0;
	return strcmp(d->driver, w->value) == 0;
}

/* The first that does not hold, but of the devices that except() is about; NULL where all do. */
static const struct wanted *unheld(bool (*except)(int dev))
{
	for (int i = 0; i < n_wanted; i++)
		if (!holds(&wanted[i]) && !(except && except(wanted[i].dev)))
			return &wanted[i];
	return NULL;
}

/* What preclaim has told: the kernel's log, and of standard error what that has not. */
static void gather(struct outcome *o)
{
	static char errors[TEXT_MAX];
	ssize_t n = pread(error_file, errors, sizeof(errors) - 1, 0);
	size_t len = 0;

	errors[n > 0 ? n : 0] = '\0';
	for (int from = 0; from < 2; from++) {
		for (const char *line = from ? errors : m->log; *line; line += strcspn(line, "\n") + 1) {
			int end = (int)strcspn(line, "\n");
			const char *start = *line == '<' ? line + 3 : line;
			char whole[1100];

			if (strncmp(start, "preclaim: ", 10) == 0)
				start += 10;
			snprintf(whole, sizeof(whole), "%.*s\n", (int)(line + end - start), start);
			if ((!from || !strstr(o->text, whole)) && len + strlen(whole) < TEXT_MAX)
				len += (size_t)sprintf(o->text + len, "%s", whole);
			if (!line[end])
				break;
		}
	}
}

/* Wait for a process as long as the limit allows; -1 for any. False where it has not ended. */
static bool await(pid_t pid, int *status)
{
	pid_t r;

	alarm(LIMIT_S);
	r = waitpid(pid, status, 0);
	alarm(0);
	return r > 0;
}

/* One run of a scenario's command in a process of its own, with that trouble. */
static void run(const struct scenario *s, const struct trouble *t, struct outcome *o)
{
	struct options options = { .command = s->command, .root = "/", .loudest = LEVEL_INFO, .word = (char **)s->words };
	int status = 0;
	pid_t pid;

	while (options.words < 3 && s->words[options.words])
		options.words++;
	m->trouble = *t;
	m->operations = 0;
	m->struck.is = false;
	m->busy = 0;
	m->log[0] = '\0';
	o->text[0] = '\0';
	if (ftruncate(error_file, 0) < 0)
		abort();
	m->runs = true;
	pid = model_fork();
	if (pid == 0) {
		setpgid(0, 0);
		dup2(error_file, STDERR_FILENO);
		/* what was released udev's runs leave to the host: somebody has to ask for it */
		if (s->state == STATE_UDEV && !strstr(m->status, " released ")) {
			setenv("SEQNUM", "1", 1);
			setenv("ACTION", m->status[0] ? "change" : "add", 1);
		}
		_exit(run_command(&options));
	}
	setpgid(pid, pid);
	o->ended = await(pid, &status);
	o->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	if (!o->ended)
		kill(-pid, SIGKILL);
	else if (t->effect == EFFECT_HANG)
		model_kill(pid);
	/* what it has left behind, which is ours now */
	while (await(-1, &status))
		;
	if (errno != ECHILD) {
		kill(-pid, SIGKILL);
		o->ended = false;
		while (await(-1, &status))
			;
	}
	m->runs = false;
	gather(o);
}

/* How many lines begin with one text and end with another. */
static int count(const char *text, const char *end, const char *start)
{
	int lines = 0;

	for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
		size_t len = strcspn(line, "\n") + 1, n = strlen(end);

		lines += strncmp(line, start, strlen(start)) == 0 && len >= n && strncmp(line + len - n, end, n) == 0;
	}
	return lines;
}

/* How many lines begin with the device's address and have one of the phrases in them. */
static int lines_of(const struct outcome *o, int dev, const char *const *phrase)
{
	const size_t n = strlen(m->device[dev].addr);
	int lines = 0;

	for (const char *line = o->text; *line; line += strcspn(line, "\n") + 1) {
		char one[1100];

		snprintf(one, sizeof(one), "%.*s", (int)strcspn(line, "\n"), line);
		if (strncmp(one, m->device[dev].addr, n) != 0 || (one[n] != ' ' && one[n] != ':'))
			continue;
		for (int i = 0; phrase[i]; i++)
			if (strstr(one + n, phrase[i])) {
				lines++;
				break;
			}
	}
	return lines;
}

static const char *const concluding[] = { ": claimed by ", ": claimed, no driver", ": not claimed", ": refused", ": released", ": not released", NULL };
static const char *const explaining[] = { ": not claimed", ": not released", ": not handed", "released yet", ": refused", "left out", "cannot read", NULL };
static const char *const of_pf[] = { "VFs created", ": sriov_numvfs: ", "VFs are made when", "in use", "not fenced", "released yet", "cannot read", NULL };

/* The device that an operation is about, -1 for none. */
static int struck_dev(void)
{
	char addr[ADDR_MAX];
	const char *in = strstr(m->struck.path, "devices/");

	if (strcmp(m->struck.path, "sys/bus/pci/drivers_probe") == 0)
		return model_find(m->struck.value);
	if (!in || strncmp(m->struck.path, "sys/bus/pci/", 12) != 0)
		return -1;
	snprintf(addr, sizeof(addr), "%.*s", (int)strcspn(in + 8, "/"), in + 8);
	return model_find(addr);
}

/* Whether a device has to do with the one that was struck: it is that, or its PF, or its VF, or they have one. */
static bool is_struck(int dev)
{
	const struct model_device *d = &m->device[dev];
	int struck = m->trouble.effect == EFFECT_VANISH || m->trouble.effect == EFFECT_VFS ? m->trouble.dev : struck_dev();
	int pf;

	if (struck < 0)
		return false;
	pf = m->device[struck].vf ? m->device[struck].vf_of : struck;
	/* nor is a group claimed for a device that is not there */
	return dev == struck || dev == pf || (d->vf && d->vf_of == pf) ||
	       (m->trouble.effect == EFFECT_VANISH && d->group >= 0 && d->group == m->device[struck].group);
}

/*
 * The kernel has said of something that is there that it isn't, which nobody can
 * tell from the truth.
 */
static bool was_lied_to(void)
{
	const struct trouble *t = &m->trouble;

	if (t->effect != EFFECT_FAIL && t->effect != EFFECT_FAIL_ON)
		return false;
	if (m->struck.verb == VERB_EXISTS || m->struck.verb == VERB_TRY)
		return true;
	return (BIT(ENTER) | BIT(LIST) | BIT(READ) | BIT(READ_ALL) | BIT(LINK)) >> m->struck.verb & 1 && (t->number == ENOENT || t->number == ENODEV);
}

/* What is claimed for its group's sake cannot be where it is told that the group's owner could not be read. */
static bool is_blocked(const struct outcome *o, int dev)
{
	int struck = struck_dev();

	return struck >= 0 && m->device[dev].group >= 0 && m->device[dev].group == m->device[struck].group &&
	       lines_of(o, struck, (const char *const[]){ "cannot read it", NULL }) > 0;
}

__attribute__((format(printf, 4, 5)))
static void wrong(const struct kind *k, unsigned n, const struct outcome *o, const char *format, ...)
{
	va_list args;

	failures++;
	printf("# %s at %u, %s %s %.20s: ", k->name, n, verb_name[m->struck.verb], m->struck.path, m->struck.value[0] == '\n' ? "" : m->struck.value);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	if (getenv("FAULTS_VERBOSE"))
		printf("(exit status %d)\n%s", o->status, o->text);
	/* a child must not have it in its buffer, too */
	fflush(stdout);
}

/* The first device that is not as in another machine, -1 where all are: what matters to a run. */
static int differs(const struct model_device *a, const struct model_device *b)
{
	for (int i = 0; i < MODEL_DEVICES && a[i].addr; i++)
		if (strcmp(a[i].driver, b[i].driver) != 0 || strcmp(a[i].override, b[i].override) != 0 || a[i].gone != b[i].gone ||
		    a[i].num_vfs != b[i].num_vfs || a[i].fenced != b[i].fenced)
			return i;
	return -1;
}

static void after_run(const struct scenario *s)
{
	if (s->state == STATE_BOOT)
		model_register_hosts();
}

/* A device may be about more than what is to hold here: VFs that go to the host. */
static bool is_wanted(int dev)
{
	for (int i = 0; i < n_wanted; i++)
		if (wanted[i].dev == dev)
			return true;
	return false;
}

/* Whether a run ended as it should have, with what became of the devices. */
static void judge(const struct scenario *s, const struct kind *k, unsigned n, const struct outcome *o)
{
	const struct wanted *w = unheld(k->effect == EFFECT_VANISH ? is_struck : NULL);
	bool lied = was_lied_to(), gave_up = o->status == EXIT_SYSTEM;

	if (!o->ended) {
		wrong(k, n, o, "it has not ended");
		return;
	}
	if (k->effect == EFFECT_KILL)
		return;
	if (k->effect == EFFECT_SLOW && (o->status != s->status || w))
		wrong(k, n, o, "exit status %d, and %s is not as it should be", o->status, w ? m->device[w->dev].addr : "nothing");
	if (o->status != EXIT_HOLDS && o->status != EXIT_NOT_HELD && o->status != EXIT_SYSTEM)
		wrong(k, n, o, "exit status %d", o->status);
	if (o->status == EXIT_HOLDS && s->status == EXIT_HOLDS && w && !lied)
		wrong(k, n, o, "exit status 0, but %s is not %c%s", m->device[w->dev].addr, w->what, w->value);
	if (o->status == EXIT_NOT_HELD && s->status == EXIT_HOLDS && !w && m->struck.verb == VERB_WRITE && k->effect != EFFECT_HANG &&
	    k->effect != EFFECT_VANISH && is_wanted(struck_dev()))
		wrong(k, n, o, "exit status 1, but all holds");
	/* without rules there is nothing to tell */
	if (s->state != STATE_UDEV && count(o->text, " ms\n", "done: ") != 1 && !(lied && strcmp(m->struck.path, "etc/preclaim.conf") == 0 && !o->text[0]))
		wrong(k, n, o, "its last line is not there once");

	for (int i = 0; i < n_wanted; i++) {
		const struct model_device *d = &m->device[wanted[i].dev];
		int lines = lines_of(o, wanted[i].dev, concluding);
		char claimed[DRIVER_MAX + 16];
		bool off = k->effect == EFFECT_VANISH && is_struck(wanted[i].dev);

		if (wanted[i].what != '=') {
			if (!holds(&wanted[i]) && !gave_up && !lied && !off && lines_of(o, wanted[i].dev, of_pf) == 0)
				wrong(k, n, o, "%s: nothing is told of what became of it", d->addr);
			continue;
		}
		snprintf(claimed, sizeof(claimed), ": claimed by %s", wanted[i].value);
		if (lines_of(o, wanted[i].dev, (const char *const[]){ claimed, NULL }) > 0 && !holds(&wanted[i]) && !off)
			wrong(k, n, o, "%s: told to be claimed, and is not", d->addr);
		if (lines > 1)
			wrong(k, n, o, "%s: %d lines tell what became of it", d->addr, lines);
		if (lines == 0 && !holds(&wanted[i]) && !is_blocked(o, wanted[i].dev) && !gave_up && !lied && !off && lines_of(o, wanted[i].dev, explaining) == 0 &&
		    !(d->vf && lines_of(o, d->vf_of, of_pf) > 0))
			wrong(k, n, o, "%s: nothing tells what became of it", d->addr);
	}
	for (int i = 0; i < MODEL_DEVICES && m->device[i].addr; i++) {
		const struct model_device *d = &m->device[i];

		if (d->override[0] && strcmp(d->override, d->driver) != 0 && strcmp(d->override, "none") != 0 && !gave_up &&
		    lines_of(o, i, explaining) == 0 && !(d->vf && lines_of(o, d->vf_of, of_pf) > 0))
			wrong(k, n, o, "%s: left with the override %s, and nothing tells why", d->addr, d->override);
	}
	/* what was struck is one device's alone: the others stand, but VFs for which no time was left */
	w = unheld(is_struck);
	if (w && k->effect == EFFECT_HANG && (m->device[w->dev].vf || w->what == '*'))
		w = NULL;
	if (w && (struck_dev() >= 0 || k->effect >= EFFECT_VANISH) && m->struck.verb == VERB_WRITE)
		wrong(k, n, o, "%s is not %c%s, though nothing befell it", m->device[w->dev].addr, w->what, w->value);
}

/* The promise: the host's drivers, whenever they come, are not probed on what was claimed. */
static void judge_probes(const struct kind *k, unsigned n, const struct outcome *o)
{
	if (k->effect >= EFFECT_KILL || was_lied_to() || o->status == EXIT_SYSTEM)
		return;
	for (int i = 0; i < n_wanted; i++) {
		const struct model_device *d = &m->device[wanted[i].dev];
		char line[ADDR_MAX + DRIVER_MAX + 2];

		if (wanted[i].what != '=' || strcmp(wanted[i].value, "host") == 0 || !d->native || strcmp(wanted[i].value, d->native) == 0)
			continue;
		snprintf(line, sizeof(line), "%s %s\n", d->addr, d->native);
		if (strstr(m->probes, line) && !is_blocked(o, wanted[i].dev) && lines_of(o, wanted[i].dev, explaining) == 0 && !(d->vf && lines_of(o, d->vf_of, of_pf) > 0))
			wrong(k, n, o, "%s: %s was probed on it", d->addr, d->native);
	}
}

/* A run that nothing disturbs makes of any state what it should have been. */
static void judge_repair(const struct scenario *s, const struct kind *k, unsigned n)
{
	static struct outcome o;
	int d;

	for (int i = 0; i < n_known; i++)
		if (differs(m->device, known[i].device) < 0 && memcmp(m->driver, known[i].driver, sizeof(m->driver)) == 0)
			return;
	if (n_known < (int)(sizeof(known) / sizeof(known[0]))) {
		memcpy(known[n_known].device, m->device, sizeof(m->device));
		memcpy(known[n_known++].driver, m->driver, sizeof(m->driver));
	}
	run(s, &(struct trouble){ .at = 0 }, &o);
	/* a fence that was lowered for a release is raised by the next apply: who releases knows no rules;
	   one that was raised since it could not be read where VFs will be stays, and keeps nothing from guests */
	for (int i = 0; s->command >= COMMAND_CLAIM && i < MODEL_DEVICES; i++)
		m->device[i].fenced = final.device[i].fenced;
	d = differs(m->device, final.device);
	if (!o.ended || o.status != final_status || d >= 0) {
		wrong(k, n, &o, "and a second run does not repair it: exit status %d, %s is with %s, override %s, %d VFs", o.status,
		      d < 0 ? "all" : m->device[d].addr, d < 0 ? "" : m->device[d].driver, d < 0 ? "" : m->device[d].override,
		      d < 0 ? 0 : m->device[d].num_vfs);
	}
}

/* The device that vanishes, or that VFs are made of. -1 where there is none such. */
static int chosen_dev(enum effect effect)
{
	for (int i = 0; i < n_wanted; i++)
		if (effect == EFFECT_VANISH ? wanted[i].what == '=' && !m->device[wanted[i].dev].vf : wanted[i].what == '*')
			return wanted[i].dev;
	return -1;
}

/* The n-th operation is hit; 0 where there is none. */
static bool try_one(const struct scenario *s, const struct kind *k, unsigned n)
{
	static struct outcome o;
	struct trouble t = { .at = n, .verbs = k->verbs, .effect = k->effect, .number = k->number };

	*m = initial;
	if (!everything)
		t.verbs &= ~(READS | BIT(MALLOC));
	if (k->effect == EFFECT_VANISH || k->effect == EFFECT_VFS) {
		t.dev = chosen_dev(k->effect);
		if (t.dev < 0)
			return false;
	}
	run(s, &t, &o);
	if (!m->struck.is)
		return false;
	judge(s, k, n, &o);
	if (k->effect == EFFECT_VANISH)
		m->device[t.dev].gone = initial.device[t.dev].gone;
	after_run(s);
	judge_probes(k, n, &o);
	judge_repair(s, k, n);
	return true;
}

/* Keep to one processor, those of a number by turns: to fork on two at a time takes a virtual machine longer than one after the other. */
static void keep_to_one_processor(size_t number)
{
	cpu_set_t all, one;

	if (sched_getaffinity(0, sizeof(all), &all) < 0)
		return;
	number %= (size_t)CPU_COUNT(&all);
	for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all) || number-- > 0)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof(one), &one);
		return;
	}
}

/* Every operation, with every kind of trouble that is its turn; how many there are is added up. */
static void try_all(const struct scenario *s, unsigned *operations, unsigned *tried)
{
	for (unsigned k = 0; k < KINDS; k++) {
		unsigned n = 1;

		for (; (n + k) % every != 0 || try_one(s, &kinds[k], n); n++)
			tried[k] += (n + k) % every == 0;
		*operations = n - 1 > *operations ? n - 1 : *operations;
	}
}

/* The machine as the scenario finds it, and what an undisturbed run and the one after it make of it. */
static bool prepare(const struct scenario *s)
{
	static const char *const modules[] = { "vfio-pci", "pci-stub", "uio_pci_generic" };
	static struct outcome o;
	static char conf[1024];
	char file[128];
	const struct wanted *w;
	bool good;
	int n = 0;

	snprintf(file, sizeof(file), "tests/machines/%s.manifest", s->machine);
	m = model_load(file);
	snprintf(conf, sizeof(conf), "%s", s->conf ? s->conf : "");
	m->conf = conf;
	for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++)
		strcpy(m->module[n++], modules[i]);
	for (int i = 0; i < MODEL_DEVICES && m->device[i].addr; i++) {
		bool there = !m->device[i].native;

		for (int k = 0; k < n && !there; k++)
			there = strcmp(m->module[k], m->device[i].native) == 0;
		if (!there && n < MODEL_DRIVERS)
			strcpy(m->module[n++], m->device[i].native);
	}
	if (s->state == STATE_BOOT || s->state == STATE_UDEV)
		m->facts = "";
	if (s->state != STATE_BOOT)
		model_register_hosts();
	parse_wanted(s->expect);
	if (s->state == STATE_CLAIMED) {
		const struct scenario claim = { .machine = s->machine, .state = STATE_HOST, .command = COMMAND_CLAIM,
			.words = { s->words[0], strstr(s->machine, "iommu") ? "driver=pci-stub" : NULL } };

		run(&claim, &(struct trouble){ .at = 0 }, &o);
		if (o.status != EXIT_HOLDS)
			printf("# it could not be claimed first: %s\n", o.text);
	}
	m->probes[0] = m->status[0] = m->log[0] = '\0';
	initial = *m;
	run(s, &(struct trouble){ .at = 0 }, &o);
	w = unheld(NULL);
	good = o.ended && o.status == s->status && !w;
	if (!good)
		printf("# undisturbed, it ends with exit status %d, and %s is not %s\n# %s\n", o.status, w ? m->device[w->dev].addr : "nothing",
		       w ? w->value : "as it should", o.text);
	after_run(s);
	run(s, &(struct trouble){ .at = 0 }, &o);
	final = *m;
	final_status = o.status;
	return good;
}

/* A scenario, and what its process makes known. */
struct attempt {
	pid_t pid;
	int said;	/* a file of what it prints */
	bool good;
	unsigned operations, tried[KINDS];
};
enum { SCENARIOS = sizeof(scenarios) / sizeof(scenarios[0]) };

/* Processes wait for each other most of the time: a few scenarios at once, each in a process of its own. */
static void start(size_t number, struct attempt *a)
{
	pid_t pid;

	a->said = memfd_create("stdout", 0);
	if (a->said < 0)
		abort();
	fflush(stdout);
	pid = model_fork();
	if (pid < 0)
		abort();
	if (pid > 0) {
		a->pid = pid;
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	dup2(a->said, STDOUT_FILENO);
	keep_to_one_processor(number);
	error_file = memfd_create("stderr", 0);
	if (error_file < 0 || fcntl(error_file, F_SETFL, O_APPEND) < 0)
		abort();
	a->good = prepare(&scenarios[number]);
	try_all(&scenarios[number], &a->operations, a->tried);
	a->good = a->good && failures == 0;
	exit(0);
}

/* Wait for one of them, and print what came of it. */
static void end_one(struct attempt *attempts)
{
	int status;
	pid_t pid = wait(&status);
	unsigned troubles = 0;
	char text[4096];
	ssize_t n;
	size_t i = 0;

	while (i < SCENARIOS && attempts[i].pid != pid)
		i++;
	if (i == SCENARIOS)
		abort();
	for (off_t at = 0; (n = pread(attempts[i].said, text, sizeof(text), at)) > 0; at += n)
		fwrite(text, 1, (size_t)n, stdout);
	close(attempts[i].said);
	for (size_t k = 0; k < KINDS; k++)
		troubles += attempts[i].tried[k];
	ok(status == 0 && attempts[i].good && troubles > 0, "%s, %s: %u operations, %u troubles: it ends, tells the truth, and a second run repairs it",
	   scenarios[i].machine, scenarios[i].name, attempts[i].operations, troubles);
}

int main(int argc, char **argv)
{
	const char *name = strrchr(argv[0], '/');
	unsigned points = 0, tried[KINDS] = { 0 }, runs = 0, running = 0;
	struct attempt *attempts = mmap(NULL, SCENARIOS * sizeof(*attempts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (attempts == MAP_FAILED)
		abort();
	/* whoever waits for all of it is to see how far it is */
	setvbuf(stdout, NULL, _IOLBF, 0);
	name = name ? name + 1 : argv[0];
	everything = strcmp(name, "few-faults") != 0;
	every = strcmp(name, "all-faults") == 0 ? 1 : 6;
	sigaction(SIGALRM, &(struct sigaction){ .sa_handler = ignore }, NULL);
	for (size_t i = 0; i < SCENARIOS; i++) {
		if ((argc > 1 && !strstr(scenarios[i].machine, argv[1])) || (argc > 2 && strcmp(scenarios[i].name, argv[2]) != 0))
			continue;
		if (running == AT_ONCE)
			end_one(attempts);
		else
			running++;
		start(i, &attempts[i]);
	}
	for (; running > 0; running--)
		end_one(attempts);
	for (size_t i = 0; i < SCENARIOS; i++) {
		points += attempts[i].operations;
		for (size_t k = 0; k < KINDS; k++) {
			tried[k] += attempts[i].tried[k];
			runs += attempts[i].tried[k];
		}
	}
	if (points == 0) {
		fprintf(stderr, "there is no such machine, or no such command for it\n");
		return 2;
	}
	printf("# %u operations, %d kinds of trouble, %u disturbed runs:", points, KINDS, runs);
	for (size_t k = 0; k < KINDS; k++)
		printf("%s %s %u", k ? "," : "", kinds[k].name, tried[k]);
	printf("\n");
	return finish();
}
