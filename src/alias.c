// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Finds the VFIO driver made for a device in the kernel's own list of module
 * aliases. It reads no file and loads nothing.
 */
#include "alias.h"

#include <fnmatch.h>
#include <string.h>

#include "text.h"
#include "token.h"

enum { PATTERN_MAX = 256 };

/* How much of a pattern is not left open. */
static size_t fixed_characters(const char *pattern)
{
	size_t n = 0;

	for (; *pattern; pattern++)
		n += *pattern != '*';
	return n;
}

bool alias_variant(struct str aliases, const char *modalias, char out[DRIVER_MAX])
{
	static const char prefix[] = "vfio_pci:";
	const char *device = strchr(modalias, ':');
	struct str line, alias, pattern, module;
	size_t best = 0;

	while (device && token_line(&aliases, &line)) {
		char text[PATTERN_MAX];

		if (!token_word(&line, BLANKS, &alias) || !str_is(alias, "alias") || !token_word(&line, BLANKS, &pattern) ||
		    !str_starts(pattern, prefix) || !token_word(&line, BLANKS, &module))
			continue;
		pattern = str_skip(pattern, strlen(prefix));
		if (pattern.len >= sizeof(text) || module.len >= DRIVER_MAX)
			continue;
		memcpy(text, pattern.p, pattern.len);
		text[pattern.len] = '\0';
		if (fixed_characters(text) < best || fnmatch(text, device + 1, 0) != 0)
			continue;
		best = fixed_characters(text) + 1;
		memcpy(out, module.p, module.len);
		out[module.len] = '\0';
	}
	return best > 0;
}
