#include "bin/options.h"

#include <stdio.h>

struct common_option {
	struct tool_option option;
	unsigned has; /* the tools that have it; 0: all */
};

static const struct common_option common_options[] = {
	{ { "dir", 'd', "DIR", "the store; else $LSM_DIR, else data" }, 0 },
	{ { "format", 'f', "NAME", "records as tsv (default), nul or jsonl" },
	  TOOL_FORMATS },
	{ { "hex", 'x', NULL, "keys and values in operands are hex" },
	  TOOL_HEX },
	{ { "no-wait", OPT_NO_WAIT, NULL, "status 75 if a lock is taken" },
	  TOOL_WAITS },
	{ { "timeout", OPT_TIMEOUT, "SECONDS",
	    "status 75 if a lock is not got in time" },
	  TOOL_WAITS },
	{ { "quiet", 'q', NULL, "no notices and warnings" }, 0 },
	{ { "help", OPT_HELP, NULL, "say this" }, 0 },
	{ { "version", OPT_VERSION, NULL, "say release and format versions" },
	  0 },
};

#define N_COMMON (sizeof(common_options) / sizeof(common_options[0]))

static bool has_common(const struct tool *t, size_t i)
{
	unsigned has = common_options[i].has;

	return !has || (t->spec->has & has);
}

void options_tables(const struct tool *t, struct option *longs, char *shorts)
{
	size_t n = 0, common = 0;
	const struct tool_option *own = t->spec->options;

	/*
	 * '+': options end at the first operand, so that a value that starts
	 * with a dash is a value.  ':': a missing argument is told apart.
	 */
	*shorts++ = '+';
	*shorts++ = ':';
	while (n < MAX_OPTIONS - 1) {
		const struct tool_option *o;

		if (own && own->name)
			o = own++;
		else if (common == N_COMMON)
			break;
		else if (has_common(t, common))
			o = &common_options[common++].option;
		else {
			common++;
			continue;
		}
		longs[n++] = (struct option){ o->name,
					      o->arg ? required_argument
						     : no_argument,
					      NULL, o->letter };
		if (o->letter < 256) {
			*shorts++ = (char)o->letter;
			if (o->arg)
				*shorts++ = ':';
		}
	}
	longs[n] = (struct option){ NULL, 0, NULL, 0 };
	*shorts = '\0';
}

static void append_option(struct buf *out, const struct tool_option *o)
{
	char left[48], line[160];
	int n;

	n = snprintf(left, sizeof(left), o->letter < 256 ? "-%c, " : "    ",
		     o->letter);
	snprintf(left + n, sizeof(left) - (size_t)n, "--%s%s%s", o->name,
		 o->arg ? " " : "", o->arg ? o->arg : "");
	n = snprintf(line, sizeof(line), "  %-26s %s\n", left, o->help);
	buf_append(out, line, (size_t)n);
}

static void append_text(struct buf *out, const char *s)
{
	buf_append(out, s, strlen(s));
}

/* --help and --version are output like any other: a full disk is an error. */
__attribute__((noreturn)) static void print_and_exit(const struct tool *t,
						     struct buf *out)
{
	struct store_error err = STORE_ERROR_INIT;
	int r;

	if ((r = tool_write(1, out->data, out->len, &err)) >= 0)
		r = tool_close_stdout(t, &err);
	buf_free(out);
	exit(tool_status(t, r, &err));
}

/* One form of the synopsis, broken between its arguments. */
static void append_form(struct buf *out, const char *name, const char *form)
{
	size_t column = 7 + strlen(name);

	append_text(out, name);
	while (*form) {
		size_t len = *form == '[' ? strcspn(form, "]") + 1
					  : strcspn(form, " ");

		if (column + 1 + len > 79) {
			append_text(out, "\n              ");
			column = 14;
		}
		append_text(out, " ");
		buf_append(out, form, len);
		column += 1 + len;
		form += len + (form[len] == ' ');
	}
	append_text(out, "\n");
}

void options_print_help(const struct tool *t)
{
	const struct tool_spec *s = t->spec;
	struct buf out = BUF_INIT;

	for (int i = 0; s->synopsis[i]; i++) {
		append_text(&out, i ? "       " : "usage: ");
		append_form(&out, s->name, s->synopsis[i]);
	}
	append_text(&out, "\n");
	append_text(&out, s->summary);
	append_text(&out, "\n\n");
	for (const struct tool_option *o = s->options; o && o->name; o++)
		append_option(&out, o);
	for (size_t i = 0; i < N_COMMON; i++)
		if (has_common(t, i))
			append_option(&out, &common_options[i].option);
	append_text(&out, "\nStatus: 0 done, 1 an honest no, 64 usage, 65 data,"
			  " 66 no store, 71 system,\n73 cannot create, 74 I/O,"
			  " 75 busy, 77 permission, 78 configuration.\n");
	print_and_exit(t, &out);
}

void options_print_version(const struct tool *t)
{
	struct buf out = BUF_INIT;

	append_text(&out, t->spec->name);
	append_text(&out, " " TOOL_RELEASE "\n" TOOL_FORMAT_VERSIONS "\n");
	print_and_exit(t, &out);
}
