/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TOKEN_H
#define TOKEN_H

#include "preclaim.h"

/* What separates words: in a file blanks, on the command line commas (blanks can only come quoted). */
enum separator { BLANKS, COMMAS };

/* One parameter of the kernel command line; name and value are pieces of it. */
struct param {
	struct str whole;	/* without the quotes that the kernel takes off */
	struct str name;
	struct str value;	/* empty, behind the name, where there is none */
	bool has_value;		/* "name=" has one, an empty one */
};

/*
 * Take the next line off text, without its "\n" or "\r\n"; the last one need
 * not end in one. False at the end.
 */
bool token_line(struct str *text, struct str *line);

/* Take the next word off line. False at the end or, in a file, at a comment. */
bool token_word(struct str *line, enum separator separator, struct str *word);

/*
 * Take the next parameter off a kernel command line, with quotes as next_arg()
 * in the kernel's lib/cmdline.c treats them: they protect blanks, and only one
 * at the start of the parameter or of its value is taken off, with its
 * partner at the end. False at the end.
 */
bool token_param(struct str *cmdline, struct param *param);

#endif
