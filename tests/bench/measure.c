// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * measure -l LABEL [OPTION...] COMMAND [ARGUMENT...]
 *
 * Runs a command several times and prints for each run how long it took, and
 * the most memory that one of its processes had. Before each run everything is as if nothing had been
 * claimed; after it every device must be, or all this ends: a run that did not
 * do its work has no time worth telling. Medians are computed elsewhere.
 *
 *   -n RUNS      how often (5)
 *   -a FILE      the addresses of the devices that the command claims, a line each
 *   -p           they are PFs: what is claimed is their VFs
 *   -d DRIVER    by which driver (vfio-pci); "none" is one that only an override names
 *   -u           vfio-pci is not loaded when the command is started
 *   -r ROOT      instead of "", where /sys is
 *   -s STATUS    the exit status of the command (0)
 *
 * The command "floor" is built in: the same writes to the kernel, and nothing
 * else, as a measure of what the kernel itself needs: "floor N" makes N VFs on
 * each of the PFs first.
 *
 * A line for each run: run LABEL MICROSECONDS KIB, and for the floor also:
 * kernel LABEL MICROSECONDS, which went by inside of its writes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { DEVICES_MAX = 16384, ADDRESS_MAX = 16, PATH_LEN = 512 };

static char address[DEVICES_MAX][ADDRESS_MAX];
static size_t devices;
static const char *label, *root = "", *driver = "vfio-pci";
static bool are_pfs, unloads;

__attribute__((format(printf, 1, 2)))
static _Noreturn void die(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "measure: %s: ", label);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* The path of an attribute of a device, or of all devices where the address is NULL. */
static const char *path(const char *addr, const char *name)
{
	static char out[PATH_LEN];

	if (addr)
		snprintf(out, sizeof(out), "%s/sys/bus/pci/devices/%s/%s", root, addr, name);
	else
		snprintf(out, sizeof(out), "%s/sys/bus/pci/%s", root, name);
	return out;
}

/* 0 or -errno. The time that the write itself took is added to *ns. */
static int put(const char *where, const char *value, uint64_t *ns)
{
	int fd = open(where, O_WRONLY | O_TRUNC | O_CLOEXEC), r = 0;
	uint64_t start = now_ns();

	if (fd < 0)
		return -errno;
	if (write(fd, value, strlen(value)) < 0)
		r = -errno;
	*ns += now_ns() - start;
	close(fd);
	return r;
}

static bool has_driver(const char *addr, const char *name)
{
	char link[PATH_LEN];
	ssize_t n = readlink(path(addr, "driver"), link, sizeof(link) - 1);
	const char *last;

	if (n < 0)
		return false;
	link[n] = '\0';
	last = strrchr(link, '/');
	return !name || strcmp(last ? last + 1 : link, name) == 0;
}

/* The VF of a PF by its number, or false where there is none. */
static bool find_vf(const char *pf, unsigned n, char out[ADDRESS_MAX])
{
	char name[32], link[PATH_LEN];
	ssize_t len;

	snprintf(name, sizeof(name), "virtfn%u", n);
	len = readlink(path(pf, name), link, sizeof(link) - 1);
	if (len < 0)
		return false;
	link[len] = '\0';
	snprintf(out, ADDRESS_MAX, "%s", strrchr(link, '/') + 1);
	return true;
}

static bool is_claimed(const char *addr)
{
	char value[64] = "";
	int fd;

	if (strcmp(driver, "none") != 0)
		return has_driver(addr, driver);
	fd = open(path(addr, "driver_override"), O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (read(fd, value, sizeof(value) - 1) < 0)
		value[0] = '\0';
	close(fd);
	return strncmp(value, driver, strlen(driver)) == 0;
}

static void run(char **argv)
{
	pid_t pid = fork();

	if (pid == 0) {
		execvp(argv[0], argv);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
}

/* Everything as the host has it. */
static void undo(void)
{
	uint64_t ns;

	for (size_t i = 0; i < devices; i++) {
		if (are_pfs) {
			put(path(address[i], "sriov_numvfs"), "0", &ns);
			put(path(address[i], "sriov_drivers_autoprobe"), "1", &ns);
			continue;
		}
		if (has_driver(address[i], "vfio-pci"))
			put(path(address[i], "driver/unbind"), address[i], &ns);
		put(path(address[i], "driver_override"), "\n", &ns);
		if (!*root)
			put(path(NULL, "drivers_probe"), address[i], &ns);
	}
	if (unloads)
		run((char *[]){ "modprobe", "-r", "vfio-pci", NULL });
	else if (!*root)
		run((char *[]){ "modprobe", "-q", "vfio-pci", NULL });
	if (!*root && (access(path(NULL, "drivers/vfio-pci"), F_OK) == 0) == unloads)
		die("vfio-pci cannot be %s", unloads ? "unloaded" : "loaded");
}

static void claim(const char *addr, bool loaded, uint64_t *ns)
{
	if (put(path(addr, "driver_override"), driver, ns) < 0)
		die("%s: cannot write driver_override", addr);
	if (has_driver(addr, NULL) && put(path(addr, "driver/unbind"), addr, ns) < 0)
		die("%s: cannot unbind it", addr);
	if (loaded && put(path(NULL, "drivers_probe"), addr, ns) < 0)
		die("%s: cannot write drivers_probe", addr);
}

/* What the kernel cannot be spared. A module that is loaded binds all that waits for it by itself. */
static void make_floor(const char *vfs)
{
	uint64_t ns = 0, start;
	char vf[ADDRESS_MAX];

	for (size_t i = 0; i < devices; i++) {
		if (!are_pfs) {
			claim(address[i], !unloads, &ns);
			continue;
		}
		put(path(address[i], "sriov_drivers_autoprobe"), "0", &ns);
		if (put(path(address[i], "sriov_numvfs"), vfs, &ns) < 0)
			die("%s: cannot make %s VFs", address[i], vfs);
		for (unsigned n = 0; find_vf(address[i], n, vf); n++)
			claim(vf, true, &ns);
	}
	start = now_ns();
	if (unloads)
		run((char *[]){ "modprobe", "-q", "vfio-pci", NULL });
	ns += now_ns() - start;
	printf("kernel %s %llu\n", label, (unsigned long long)ns / 1000);
	fflush(stdout);
}

static void check_claimed(void)
{
	char vf[ADDRESS_MAX];

	for (size_t i = 0; i < devices; i++) {
		if (!are_pfs && !is_claimed(address[i]))
			die("%s is not claimed", address[i]);
		if (are_pfs && !find_vf(address[i], 0, vf))
			die("%s has no VFs", address[i]);
		for (unsigned n = 0; are_pfs && find_vf(address[i], n, vf); n++)
			if (!is_claimed(vf))
				die("%s is not claimed", vf);
	}
}

static void measure(char **argv, int want)
{
	struct rusage usage;
	uint64_t start, us;
	long kib;
	int status, of_others;
	pid_t pid;

	undo();
	start = now_ns();
	pid = fork();
	if (pid == 0 && strcmp(argv[0], "floor") == 0) {
		make_floor(argv[1]);
		_exit(0);
	}
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		execvp(argv[0], argv);
		_exit(127);
	}
	if (pid < 0 || wait4(pid, &status, 0, &usage) != pid)
		die("cannot run it");
	us = (now_ns() - start) / 1000;
	kib = usage.ru_maxrss;
	/* what it has left to itself comes to us */
	while (wait4(-1, &of_others, 0, &usage) > 0)
		kib = usage.ru_maxrss > kib ? usage.ru_maxrss : kib;
	printf("run %s %llu %ld\n", label, (unsigned long long)us, kib);
	fflush(stdout);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != want)
		die("status %d of %s", status, argv[0]);
	check_claimed();
}

static void read_addresses(const char *file)
{
	char line[64];
	FILE *f = fopen(file, "r");

	if (!f)
		die("cannot open %s", file);
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (strlen(line) >= ADDRESS_MAX || devices == DEVICES_MAX)
			die("%s: too long", file);
		strcpy(address[devices++], line);
	}
	fclose(f);
}

int main(int argc, char **argv)
{
	int runs = 5, want = 0, c;

	while ((c = getopt(argc, argv, "+l:n:a:pd:ur:s:")) != -1) {
		switch (c) {
		case 'l':
			label = optarg;
			break;
		case 'n':
			runs = atoi(optarg);
			break;
		case 'a':
			read_addresses(optarg);
			break;
		case 'p':
			are_pfs = true;
			break;
		case 'd':
			driver = optarg;
			break;
		case 'u':
			unloads = true;
			break;
		case 'r':
			root = optarg;
			break;
		case 's':
			want = atoi(optarg);
			break;
		default:
			return 3;
		}
	}
	if (!label || optind == argc)
		return 3;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	while (runs-- > 0)
		measure(argv + optind, want);
	undo();
	return 0;
}
