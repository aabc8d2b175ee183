// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Cuts rule files and the kernel command line into lines, words and
 * parameters. Every token is a piece of the input, so that its column is the
 * distance from the start. It knows no keyword.
 */
#include "token.h"

#include "text.h"

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

bool token_line(struct str *text, struct str *line)
{
	size_t n = str_find(*text, '\n');

	if (text->len == 0)
		return false;
	*line = (struct str){ .p = text->p, .len = n };
	*text = str_skip(*text, n < text->len ? n + 1 : n);
	if (line->len > 0 && line->p[line->len - 1] == '\r')
		line->len--;
	return true;
}

static bool is_separator(char c, enum separator separator)
{
	return c == ' ' || c == '\t' || (separator == COMMAS && c == ',');
}

bool token_word(struct str *line, enum separator separator, struct str *word)
{
	size_t n = 0;

	while (line->len > 0 && is_separator(line->p[0], separator))
		*line = str_skip(*line, 1);
	if (line->len == 0 || (separator == BLANKS && line->p[0] == '#'))
		return false;
	while (n < line->len && !is_separator(line->p[n], separator))
		n++;
	*word = (struct str){ .p = line->p, .len = n };
	*line = str_skip(*line, n);
	return true;
}

bool token_param(struct str *cmdline, struct param *param)
{
	bool in_quotes = false, quoted = false, value_quoted = false;
	struct str whole;
	size_t n, equals = 0;

	while (cmdline->len > 0 && is_space(cmdline->p[0]))
		*cmdline = str_skip(*cmdline, 1);
	if (cmdline->len == 0)
		return false;
	if (cmdline->p[0] == '"') {
		quoted = in_quotes = true;
		*cmdline = str_skip(*cmdline, 1);
	}
	for (n = 0; n < cmdline->len && (in_quotes || !is_space(cmdline->p[n])); n++) {
		if (cmdline->p[n] == '=' && equals == 0)
			equals = n;
		if (cmdline->p[n] == '"')
			in_quotes = !in_quotes;
	}
	whole = (struct str){ .p = cmdline->p, .len = n };
	*cmdline = str_skip(*cmdline, n);
	if (equals > 0 && equals + 1 < n && whole.p[equals + 1] == '"')
		quoted = value_quoted = true;
	if (quoted && n > 0 && whole.p[n - 1] == '"')
		whole.len--;

	*param = (struct param){ .whole = whole, .name = whole, .value = str_skip(whole, whole.len), .has_value = equals > 0 };
	if (param->has_value) {
		param->name.len = equals;
		param->value = str_skip(whole, equals + 1);
		if (value_quoted && param->value.len > 0)
			param->value = str_skip(param->value, 1);
	}
	return true;
}
