// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The command line: options, commands and usage. What a command does is in
 * run.c.
 */
#include "preclaim.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guard.h"
#include "report.h"
#include "run.h"

static const char usage[] =
	"Usage: preclaim [OPTION...] COMMAND\n"
	"Claim PCI devices for passthrough before a host driver can take them.\n"
	"\n"
	"  apply [ADDRESS...]   do what the rules say, for all devices or just these\n"
	"  apply --wait         first wait until all that the rules want is there\n"
	"  apply --boot         go by the rules that this boot began with, as the service does\n"
	"  check [--image]      show what apply would do, or what goes into an image\n"
	"  list                 the devices by IOMMU group\n"
	"  status               what the rules want, what happened, and what holds now\n"
	"  claim SELECTOR... [driver=DRIVER]\n"
	"                       claim devices now; no rule is written\n"
	"  release ADDRESS...   give devices back to the host now\n"
	"  import FILE...       print the rules for what other tools' files say\n"
	"  import --from-cmdline\n"
	"                       or for what the kernel command line says\n"
	"\n"
	"  -n, --dry-run        apply, claim, release: print the plan and change nothing\n"
	"      --json           check, list, status: print one JSON document\n"
	"      --force          claim, release: also what is in use, but never /\n"
	"  -q, --quiet          tell only warnings and errors\n"
	"  -v, --verbose        tell more\n"
	"      --config FILE    rules from FILE, not from the files in /etc\n"
	"      --cmdline STRING rules from STRING, not from /proc/cmdline\n"
	"      --root DIR       take DIR for / in all that is read and written\n"
	"  -V, --version        print the version\n"
	"  -h, --help           print this text\n"
	"\n"
	"Exit status: 0 all as declared, 1 something declared does not hold,\n"
	"2 rules cannot be parsed, 3 usage, 4 system.\n";

__attribute__((format(printf, 1, 2)))
static int bad_usage(const char *format, ...)
{
	const struct report to_stderr = { .loudest = LEVEL_ERR };
	char message[RECORD_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	report_say(&to_stderr, LEVEL_ERR, "%s; try \"preclaim --help\"", message);
	return EXIT_USAGE;
}

/* Options may stand before and after the command and its arguments, which are gathered in words. */
static int parse_options(int argc, char **argv, struct options *options, char **words, int *n)
{
	enum { OPT_ROOT = 256, OPT_CONFIG, OPT_CMDLINE, OPT_IMAGE, OPT_WAIT, OPT_FORCE, OPT_JSON, OPT_BOOT };
	static const struct option longs[] = {
		{ "dry-run", no_argument, NULL, 'n' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ "root", required_argument, NULL, OPT_ROOT },
		{ "config", required_argument, NULL, OPT_CONFIG },
		{ "cmdline", required_argument, NULL, OPT_CMDLINE },
		{ "image", no_argument, NULL, OPT_IMAGE },
		{ "wait", no_argument, NULL, OPT_WAIT },
		{ "force", no_argument, NULL, OPT_FORCE },
		{ "json", no_argument, NULL, OPT_JSON },
		{ "boot", no_argument, NULL, OPT_BOOT },
		{ NULL, 0, NULL, 0 },
	};

	opterr = 0;
	for (;;) {
		int c = getopt_long(argc, argv, "+nqvVh", longs, NULL);

		switch (c) {
		case -1:
			if (optind >= argc)
				return 0;
			words[(*n)++] = argv[optind++];
			break;
		case 'n':
			options->dry_run = true;
			break;
		case 'q':
			options->loudest = LEVEL_WARNING;
			break;
		case 'v':
			options->loudest = LEVEL_DEBUG;
			break;
		case 'V':
			puts("preclaim " VERSION);
			exit(EXIT_HOLDS);
		case 'h':
			fputs(usage, stdout);
			exit(EXIT_HOLDS);
		case OPT_ROOT:
			options->root = optarg;
			break;
		case OPT_CONFIG:
			options->config = optarg;
			break;
		case OPT_CMDLINE:
			options->cmdline = optarg;
			break;
		case OPT_IMAGE:
			options->image = true;
			break;
		case OPT_WAIT:
			options->wait = true;
			break;
		case OPT_JSON:
			options->json = true;
			break;
		case OPT_BOOT:
			options->boot = true;
			break;
		case OPT_FORCE:
			options->force = true;
			break;
		default:
			return bad_usage("unknown option, or an argument that is missing: %s", argv[optind - 1]);
		}
	}
}

/* The command, and what goes with it. */
static int take_command(struct options *options, char **words, int n)
{
	static const char *const name[] = {
		[COMMAND_APPLY] = "apply", [COMMAND_CHECK] = "check", [COMMAND_LIST] = "list", [COMMAND_STATUS] = "status",
		[COMMAND_CLAIM] = "claim", [COMMAND_RELEASE] = "release",
	};
	size_t command = 0;
	struct addr a;

	while (command < sizeof(name) / sizeof(name[0]) && strcmp(words[0], name[command]) != 0)
		command++;
	if (command == sizeof(name) / sizeof(name[0]))
		return bad_usage("there is no command \"%s\"", words[0]);
	options->command = (enum command)command;
	if (options->image && command != COMMAND_CHECK)
		return bad_usage("%s has no --image", words[0]);
	if ((options->wait || options->boot) && command != COMMAND_APPLY)
		return bad_usage("%s has no --%s", words[0], options->wait ? "wait" : "boot");
	if (options->json && (command == COMMAND_APPLY || command >= COMMAND_CLAIM || options->image))
		return bad_usage("%s has no --json", options->image ? "--image" : words[0]);
	if (options->force && command < COMMAND_CLAIM)
		return bad_usage("%s has no --force", words[0]);
	if (command >= COMMAND_CLAIM && n == 1)
		return bad_usage("%s needs a device", words[0]);
	if ((command == COMMAND_CHECK || command == COMMAND_LIST || command == COMMAND_STATUS) && n > 1)
		return bad_usage("%s takes no argument \"%s\"", words[0], words[1]);
	for (int i = 1; command != COMMAND_CLAIM && i < n; i++)
		if (!run_parse_address(words[i], &a))
			return bad_usage("\"%s\" is no address", words[i]);
	options->word = words + 1;
	options->words = n - 1;
	return 0;
}

static int run_main(int argc, char **argv)
{
	struct options options = { .root = "/", .loudest = LEVEL_INFO };
	char **words = calloc((size_t)argc + 1, sizeof(*words));
	int n = 0, r;

	if (!words) {
		fputs("preclaim: out of memory\n", stderr);
		return EXIT_SYSTEM;
	}
	r = parse_options(argc, argv, &options, words, &n);
	if (r == 0 && n == 0)
		r = bad_usage("the command is missing");
	else if (r == 0)
		r = take_command(&options, words, n);
	/* an image keeps no rule that was typed for one boot */
	if (options.image && !options.cmdline)
		options.cmdline = "";
	if (r == 0)
		r = run_command(&options);
	free(words);
	return r;
}

/*
 * A script beside the program, since no image needs it. Without /proc, by the name that we
 * were called by: a bare one is in PATH, as ours was.
 */
static int run_import(const char *called, char **argv)
{
	static const char suffix[] = "-import";
	char path[PATH_SIZE];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - sizeof(suffix));

	if (n > 0)
		strcpy(path + n, suffix);
	else if ((size_t)snprintf(path, sizeof(path), "%s%s", called, suffix) >= sizeof(path))
		path[0] = '\0';
	execvp(path, argv);
	fputs("preclaim: import: cannot run preclaim-import, which is a script beside preclaim\n", stderr);
	return EXIT_SYSTEM;
}

int main(int argc, char **argv)
{
	guard_init();
	if (argc > 1 && strcmp(argv[1], "import") == 0)
		exit(run_import(argv[0], argv + 1));
	exit(run_main(argc, argv));
}
