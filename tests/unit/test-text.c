// SPDX-License-Identifier: GPL-2.0-or-later
/* The pure modules that read and write text, asked directly for what no machine's tree brings about. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../src/alias.h"
#include "../../src/clock.h"
#include "../../src/rule.h"
#include "../../src/text.h"
#include "../../src/token.h"
#include "../../src/uevent.h"
#include "tap.h"

static bool is_address(const char *text)
{
	struct addr a = { .domain = 7, .bus = 7, .devfn = 7 };
	struct str s = str_of(text);

	if (scan_addr(&s, &a))
		return true;
	/* untouched */
	return !(s.p == text && a.domain == 7 && a.bus == 7 && a.devfn == 7);
}

static void addresses(void)
{
	static const char *const good[] = { "0000:00:00.0", "ffff:ff:1f.7", "10000:e1:00.0", "ffffffff:ff:1f.7" };
	static const char *const bad[] = { "", ":", "0000", "000:00:00.0", "0000-00:00.0", "0000:0:00.0", "0000:000:00.0", "0000:00-00.0",
					   "0000:00:0.0", "0000:00:20.0", "0000:00:00", "0000:00:00:0", "0000:00:00.", "0000:00:00.8",
					   "0000:00:00.00", "0000:", "0000:00", "0000:00:", "0000:00:1f" };
	size_t n = 0, wrong = 0;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		n += is_address(good[i]);
	ok(n == sizeof(good) / sizeof(good[0]), "addresses in the form of sysfs are taken, domains of up to eight digits too");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		wrong += is_address(bad[i]);
	ok(wrong == 0, "nothing else is, and then nothing is changed");
	ok(addr_compare((struct addr){ 0, 1, 0 }, (struct addr){ 1, 0, 0 }) < 0 && addr_compare((struct addr){ 0, 2, 0 }, (struct addr){ 0, 1, 9 }) > 0 &&
	   addr_compare((struct addr){ 0, 1, 8 }, (struct addr){ 0, 1, 9 }) < 0 && addr_compare((struct addr){ 3, 2, 1 }, (struct addr){ 3, 2, 1 }) == 0,
	   "addresses are in the order of domain, bus, device and function");
}

static void numbers(void)
{
	struct str hex = str_of("fFffffff0"), decimal = str_of("4294967295x"), large = str_of("99999999999999999999"), none = str_of("g1");
	uint32_t a = 1, b = 1, c = 1, d = 1;

	ok(scan_hex(&hex, &a) == 8 && a == UINT32_MAX && hex.len == 1, "eight hex digits are taken, the ninth is left");
	ok(scan_decimal(&decimal, &b) == 10 && b == UINT32_MAX && decimal.len == 1, "a decimal number ends at what is no digit");
	ok(scan_decimal(&large, &c) == 20 && c == UINT32_MAX, "one that is too large is the largest there is");
	ok(scan_hex(&none, &d) == 0 && scan_decimal(&none, &d) == 0 && d == 1 && none.len == 2, "no digit, no number");
}

static void texts(void)
{
	char small[8], quoted[400], long_word[300];
	struct text t = text_in(small, sizeof(small));

	text_add(&t, "%s", "12345");
	text_add(&t, "%s", "6789");
	text_add(&t, "%s", "more");
	ok(strcmp(small, "1234567") == 0 && t.len == 7, "a text is cut where its room ends, and stays so");
	t = text_in(quoted, sizeof(quoted));
	text_quote(&t, str_of("a\"b\\\x01\x7f\xff"));
	ok(strstr(quoted, "\\x01") && strstr(quoted, "\\x7f") && strstr(quoted, "\\xff"), "what cannot be printed is quoted in hex: %s", quoted);
	t = text_in(quoted, sizeof(quoted));
	text_plain(&t, (struct str){ .p = "a b\t\n\033[31m\0~\x7f\x9b\xc3\xa9", .len = 16 });
	ok(strcmp(quoted, "a b\\x09\\x0a\\x1b[31m\\x00~\\x7f\\x9b\\xc3\\xa9") == 0, "text from outside can tell a terminal nothing: %s", quoted);
	t = text_in(small, sizeof(small));
	text_word(&t, str_of("a b"));
	text_word(&t, str_of(small));
	ok(strcmp(small, "a\\x20ba") == 0, "a word has no blank, and what was escaped stays as it is: %s", small);
	memset(long_word, 'x', sizeof(long_word));
	t = text_in(quoted, sizeof(quoted));
	text_quote(&t, (struct str){ .p = long_word, .len = sizeof(long_word) });
	ok(t.len < sizeof(long_word) && strcmp(quoted + t.len - 3, "...") != 0 && strstr(quoted, "..."), "a long word is cut, and that is seen");
	ok(strcmp(text_error(ENOENT), "No such file or directory") == 0 && strcmp(text_error(4095), "error") == 0,
	   "errors have their text, unknown ones their number only");
	ok(str_same_name(str_of("vfio-pci"), "vfio_pci") && !str_same_name(str_of("vfio-pci"), "vfio-pc") && !str_same_name(str_of("vfio"), "vfioo") &&
	   !str_same_name(str_of("a-b"), "a+b"), "- and _ are the same in names, and nothing else is");
}

/* What the first parameter of a command line is taken for: "NAME|VALUE", or "NAME" without one. */
static const char *parameter(const char *cmdline)
{
	static char out[128];
	struct str rest = str_of(cmdline);
	struct param p;

	if (!token_param(&rest, &p))
		return "none";
	snprintf(out, sizeof(out), "%.*s%s%.*s", (int)p.name.len, p.name.p, p.has_value ? "|" : "", (int)p.value.len, p.value.p);
	return out;
}

static void parameters(void)
{
	ok(strcmp(parameter("a=\"b c\" d"), "a|b c") == 0 && strcmp(parameter("\"a=b c\" d"), "a|b c") == 0, "quotes protect blanks, around the value or all of it");
	ok(strcmp(parameter("a=\"b"), "a|b") == 0 && strcmp(parameter("\"a=b"), "a|b") == 0 && strcmp(parameter("\""), "") == 0 &&
	   strcmp(parameter("a=\""), "a|") == 0, "a quote that is not closed reaches to the end");
	ok(strcmp(parameter("a=b\"c d\"e f"), "a|b\"c d\"e") == 0, "one in the middle is left where it is");
	ok(strcmp(parameter(" \t\n\v\f\r"), "none") == 0 && strcmp(parameter("a=b\x0e" "c\vd"), "a|b\x0e" "c") == 0, "what isspace() takes for blank is blank, and no more");
}

static void aliases(void)
{
	static const char device[] = "pci:v000015B3d0000101Esv00000000sd00000000bc02sc00i00";
	static const char table[] =
		"alias vfio_pci:v000015B3d*sv*sd*bc*sc*i* general\n"
		"alias vfio_pci:v000015B3d0000101Esv*sd*bc*sc*i* mlx5_vfio_pci\n"
		"alias vfio_pci:v*d*sv*sd*bc*sc*i* vfio_pci\n";
	char out[DRIVER_MAX] = "as it was";

	ok(alias_variant(str_of(table), device, out) && strcmp(out, "mlx5_vfio_pci") == 0, "the alias that leaves least open names the driver");
	strcpy(out, "as it was");
	ok(!alias_variant(str_of(table), "no colon in it", out) && strcmp(out, "as it was") == 0, "what is no modalias has no variant");
	ok(alias_variant(str_of(table), "pci:v00008086d00001572sv0sd0bc02sc00i0", out) && strcmp(out, "vfio_pci") == 0, "a device of another vendor has the one for all");
}

/* The fault of one rule, or "". */
static const char *fault_of(const char *rule)
{
	static char what[256];
	struct rules rules = rules_new();

	what[0] = '\0';
	if (rules_add_file(&rules, "test", str_of(rule)) == 0 && rules.faults > 0)
		snprintf(what, sizeof(what), "%s", rules.fault[0].what);
	rules_free(&rules);
	return what;
}

static void rules(void)
{
	static const struct {
		const char *rule, *fault;
	} bad[] = {
		{ "claim class=123456789", "digit" },
		{ "claim class=1234567", "at most six" },
		{ "claim class=03z", "digit" },
		{ "claim vf0x1@05:00.0", "decimal digit" },
		{ "claim vf0-x@05:00.0", "decimal digit" },
		{ "claim vf0-1x@05:00.0", "decimal digit" },
		{ "claim vf3-1@05:00.0", "backwards" },
		{ "claim vf70000@05:00.0", "at most" },
		{ "claim 0000:01-00.0", "at most ff" },
		{ "claim 01:00.0/", "digit" },
		{ "claim 10de:2204:1:2:3:4:5", "four hex digits" },
		{ "claim *:*:*:*:*:*:*", "at most six fields" },
		{ "claim *:*:*:*:1030000", "six hex digits" },
		{ "claim 01:00.0 driver=+x", "" },
		{ "claim 01:00.0 driver=-x", "" },
		{ "claim 01:00.0 driver=a/b", "" },
		{ "vfs zz=3", "" },
		{ "vfs 05:00.0=x", "" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *what = fault_of(bad[i].rule);

		ok(what[0] && strstr(what, bad[i].fault), "%s: %s", bad[i].rule, what);
	}
	ok(!fault_of("claim 01:00.0 driver=A0+b_c-d.e")[0], "a driver's name may have all that the kernel's have");
}

static void uevents(void)
{
	int fd = uevent_open();
	uint64_t start = clock_us();

	ok(fd >= 0, "the kernel's events can be listened to");
	/* on a quiet machine none comes; on another one that is no failure */
	for (int events = 0; events < 100 && uevent_wait(fd, 50) == 0; events++)
		start = clock_us();
	ok(clock_us() - start >= 50000, "without an event the wait ends when its time is over");
	close(fd);
	ok(uevent_wait(-2, 1) == -ETIMEDOUT, "what is no descriptor has no events");
}

int main(void)
{
	addresses();
	numbers();
	texts();
	parameters();
	aliases();
	rules();
	uevents();
	return finish();
}
