#include "bin/records.h"
#include "bin/settings.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

enum {
	OPT_JSON = 256,
	OPT_STRATEGY,
};

static const char *const synopsis[] = {
	"[-q] [-d DIR] [--json] [NAME ...]",
	"[-q] [-d DIR] [--strategy NAME] [--no-wait] [--timeout SECONDS] "
	"[NAME=VALUE ...]",
	NULL,
};

static const struct tool_option options[] = {
	{ "json", OPT_JSON, NULL, "print JSON, for programs" },
	{ "strategy", OPT_STRATEGY, "NAME", "change the compaction strategy" },
	{ NULL, 0, NULL, NULL },
};

static const struct tool_spec spec = {
	.name = "lsm-config",
	.summary = "Show the options of a store and of its strategy, or change "
		   "them.",
	.synopsis = synopsis,
	.options = options,
	.has = TOOL_WAITS,
};

struct config {
	struct tool t;
	struct store *db;
	struct store_configuration now;
	json_t *strategy; /* what lsm-compact tells; NULL: it cannot */
	json_t *taken;	  /* its options, a list */
	struct record_output out;
	bool json;
};

/* ---- what there is ---- */

/* The answer of lsm-compact --options: a line on the strategy, then options. */
static int read_answer(struct config *c, const struct buf *answer,
		       struct store_error *err)
{
	const char *at = (const char *)answer->data;
	size_t left = answer->len;

	c->taken = json_array();
	while (left && c->taken) {
		const char *lf = memchr(at, '\n', left);
		size_t len = lf ? (size_t)(lf - at) : left;
		json_t *line = json_loadb(at, len, 0, NULL);

		if (!json_is_object(line)) {
			json_decref(line);
			return store_fail(err, STORE_EBUG,
					  "lsm-compact --options: not JSON");
		}
		if (!c->strategy)
			c->strategy = line;
		else if (json_array_append_new(c->taken, line))
			return store_nomem(err);
		len += lf != NULL;
		at += len;
		left -= len;
	}
	return c->taken ? 0 : store_nomem(err);
}

/* What the strategy's options mean; without an answer they are shown bare. */
static int ask_strategy(struct config *c, struct store_error *err)
{
	struct store_error why = STORE_ERROR_INIT;
	struct buf answer = BUF_INIT;
	int r = 0;

	if (settings_ask(c->now.strategy, c->now.settings, c->now.n_settings,
			 &answer, &why) == 0)
		r = read_answer(c, &answer, err);
	else if (!c->t.quiet)
		tool_say(&c->t, "warning: %s", why.text);
	buf_free(&answer);
	return r;
}

/* ---- text ---- */

#define VALUE_TEXT 32

/* A number of bytes in the largest unit that leaves no rest. */
static void number_text(char *p, bool bytes, uint64_t v)
{
	static const char units[] = "\0KMG";
	int u = 0;

	while (bytes && u < 3 && v && v % 1024 == 0) {
		v /= 1024;
		u++;
	}
	snprintf(p, VALUE_TEXT, "%" PRIu64 "%.1s", v, u ? &units[u] : "");
}

static void option_text(char *p, const struct store_option *o, uint64_t v)
{
	if (o->type == STORE_WORD)
		snprintf(p, VALUE_TEXT, "%s", o->words[v]);
	else
		number_text(p, o->type == STORE_BYTES, v);
}

/* A number of a strategy's; what is beyond JSON's reach is no bound. */
static void member_text(char *p, const json_t *o, const char *name)
{
	const json_t *v = json_object_get(o, name);
	const char *type = json_string_value(json_object_get(o, "type"));
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v))
		snprintf(p, VALUE_TEXT, "%s", "");
	else if (n < 0)
		snprintf(p, VALUE_TEXT, "%" JSON_INTEGER_FORMAT, n);
	else
		number_text(p, type && !strcmp(type, "bytes"), (uint64_t)n);
}

static void words_text(char *p, size_t size, const char *const *words)
{
	size_t n = 0;

	for (*p = '\0'; *words && n + 1 < size; words++)
		n += (size_t)snprintf(p + n, size - n, "%s%s", n ? "|" : "",
				      *words);
}

static int print_row(struct config *c, const char *name, const char *value,
		     const char *def, const char *bounds, const char *help)
{
	char line[400];
	int n = snprintf(line, sizeof(line), "%-17s %-8s %-8s %-14s %s", name,
			 value, def, bounds, help);

	while (n > 0 && line[n - 1] == ' ')
		n--;
	line[n++] = '\n';
	return output_raw(&c->out, slice_make(line, (size_t)n), c->out.err);
}

static int print_option(struct config *c, const struct store_option *o)
{
	char value[VALUE_TEXT], def[VALUE_TEXT], min[VALUE_TEXT],
		max[VALUE_TEXT], bounds[3 * VALUE_TEXT];

	option_text(value, o, o->value);
	option_text(def, o, o->def);
	if (o->type == STORE_WORD) {
		words_text(bounds, sizeof(bounds), o->words);
	} else {
		option_text(min, o, o->min);
		option_text(max, o, o->max);
		snprintf(bounds, sizeof(bounds), "%s..%s", min, max);
	}
	return print_row(c, o->name, value, def, bounds, o->help);
}

static int print_taken(struct config *c, const json_t *o)
{
	char value[VALUE_TEXT], def[VALUE_TEXT], min[VALUE_TEXT],
		max[VALUE_TEXT], bounds[3 * VALUE_TEXT];

	member_text(value, o, "value");
	member_text(def, o, "default");
	member_text(min, o, "min");
	member_text(max, o, "max");
	snprintf(bounds, sizeof(bounds), "%s..%s", min, max);
	return print_row(c, json_string_value(json_object_get(o, "name")),
			 value, def, bounds,
			 json_string_value(json_object_get(o, "help")));
}

static int print_strategy(struct config *c)
{
	const char *summary =
		json_string_value(json_object_get(c->strategy, "summary"));
	size_t i;
	int r;

	r = print_row(c, "strategy", c->now.strategy, "", "",
		      summary ? summary : "");
	for (i = 0; r >= 0 && i < json_array_size(c->taken); i++)
		r = print_taken(c, json_array_get(c->taken, i));
	for (i = 0; r >= 0 && !c->strategy && i < c->now.n_settings; i++)
		r = print_row(c, c->now.settings[i].name,
			      c->now.settings[i].value, "", "", "");
	return r;
}

static int print_table(struct config *c)
{
	int r = print_row(c, "OPTION", "VALUE", "DEFAULT", "BOUNDS", "MEANING");

	for (size_t i = 0; r >= 0 && i < c->now.n_options; i++)
		r = print_option(c, &c->now.options[i]);
	return r < 0 ? r : print_strategy(c);
}

/* ---- one value ---- */

/* 1 and the text of option `name`, or 0. */
static int find_value(struct config *c, const char *name, char *text,
		      size_t size)
{
	char value[VALUE_TEXT];
	size_t i;

	for (i = 0; i < c->now.n_options; i++)
		if (!strcmp(c->now.options[i].name, name)) {
			option_text(value, &c->now.options[i],
				    c->now.options[i].value);
			snprintf(text, size, "%s", value);
			return 1;
		}
	if (!strcmp(name, "strategy"))
		return snprintf(text, size, "%s", c->now.strategy) > 0;
	for (i = 0; i < json_array_size(c->taken); i++) {
		const json_t *o = json_array_get(c->taken, i);
		const char *is = json_string_value(json_object_get(o, "name"));

		if (is && !strcmp(is, name)) {
			member_text(value, o, "value");
			snprintf(text, size, "%s", value);
			return 1;
		}
	}
	for (i = 0; i < c->now.n_settings; i++)
		if (!strcmp(c->now.settings[i].name, name)) {
			snprintf(text, size, "%s", c->now.settings[i].value);
			return 1;
		}
	return 0;
}

static int print_values(struct config *c, struct store_error *err)
{
	char text[1100];
	int r = 0;

	for (int i = 0; r >= 0 && i < c->t.argc; i++) {
		if (!find_value(c, c->t.argv[i], text, sizeof(text) - 1))
			return store_fail(err, STORE_ECONFIG,
					  "unknown option: %.64s",
					  c->t.argv[i]);
		strcat(text, "\n");
		r = output_raw(&c->out, slice_str(text), err);
	}
	return r;
}

/* ---- JSON ---- */

static json_t *words_json(const char *const *words)
{
	json_t *list = json_array();

	for (; *words; words++)
		json_array_append_new(list, json_string(*words));
	return list;
}

static json_t *option_json(const struct store_option *o)
{
	static const char *const types[] = { "count", "bytes", "word" };

	if (o->type == STORE_WORD)
		return json_pack("{s:s,s:s,s:s,s:s,s:o,s:s}", "name", o->name,
				 "type", types[o->type], "value",
				 o->words[o->value], "default",
				 o->words[o->def], "words",
				 words_json(o->words), "help", o->help);
	return json_pack("{s:s,s:s,s:I,s:I,s:I,s:I,s:s}", "name", o->name,
			 "type", types[o->type], "value", (json_int_t)o->value,
			 "default", (json_int_t)o->def, "min",
			 (json_int_t)o->min, "max", (json_int_t)o->max, "help",
			 o->help);
}

static json_t *settings_json(const struct store_configuration *now)
{
	json_t *o = json_object();

	for (size_t i = 0; i < now->n_settings; i++)
		json_object_set_new(o, now->settings[i].name,
				    json_string(now->settings[i].value));
	return o;
}

static int print_json(struct config *c, struct store_error *err)
{
	json_t *list = json_array(), *doc;
	char *text;
	int r;

	for (size_t i = 0; i < c->now.n_options; i++)
		json_array_append_new(list, option_json(&c->now.options[i]));
	doc = json_pack("{s:o,s:s,s:o,s:o}", "options", list, "strategy",
			c->now.strategy, "settings", settings_json(&c->now),
			"strategy_options",
			c->strategy ? json_incref(c->taken) : json_null());
	text = doc ? json_dumps(doc, JSON_INDENT(1)) : NULL;
	r = text ? output_raw(&c->out, slice_str(text), err) : store_nomem(err);
	if (r >= 0)
		r = output_raw(&c->out, slice_str("\n"), err);
	free(text);
	json_decref(doc);
	return r;
}

/* ---- the two things it does ---- */

static int show(struct config *c, struct store_error *err)
{
	int r;

	if ((r = tool_open(&c->t, &c->db, STORE_READ, err)) < 0 ||
	    (r = store_configuration(c->db, &c->now, err)) < 0 ||
	    (r = ask_strategy(c, err)) < 0)
		return r;
	r = c->json	? print_json(c, err)
	    : c->t.argc ? print_values(c, err)
			: print_table(c);
	if (r >= 0)
		r = output_flush(&c->out, err);
	return r < 0 ? r : tool_close_stdout(&c->t, err);
}

/* All settings the strategy will have: those it has, then the new ones. */
static int check_strategy(struct config *c, const char *strategy,
			  const struct settings *s, struct store_error *err)
{
	bool same = !strcmp(strategy, c->now.strategy);
	size_t kept = same ? c->now.n_settings : 0, n = 0;
	struct store_error why = STORE_ERROR_INIT;
	struct store_setting_text *all;
	struct buf answer = BUF_INIT;
	int r;

	all = calloc(kept + s->n_strategy + 1, sizeof(*all));
	if (!all)
		return store_nomem(err);
	for (size_t i = 0; i < kept; i++) {
		bool replaced = false;

		for (size_t k = 0; k < s->n_strategy; k++)
			replaced |= !strcmp(s->strategy[k].name,
					    c->now.settings[i].name);
		if (!replaced)
			all[n++] = c->now.settings[i];
	}
	for (size_t k = 0; k < s->n_strategy; k++)
		all[n++] = s->strategy[k];
	r = settings_ask(strategy, all, n, &answer, &why);
	if (r > 0 && !c->t.quiet)
		tool_say(&c->t, "warning: the strategy is not checked: %s",
			 why.text);
	if (r < 0)
		*err = why;
	free(all);
	buf_free(&answer);
	return r < 0 ? r : 0;
}

static int change(struct config *c, const char *strategy,
		  struct store_error *err)
{
	struct settings s = SETTINGS_INIT;
	struct store_change what;
	int r;

	if ((r = settings_sort(&s, &c->t, c->t.argv, c->t.argc, err)) < 0 ||
	    (r = tool_open(&c->t, &c->db, STORE_WRITE, err)) < 0 ||
	    (r = store_configuration(c->db, &c->now, err)) < 0)
		goto out;
	if (strategy || s.n_strategy)
		r = check_strategy(c, strategy ? strategy : c->now.strategy, &s,
				   err);
	if (r < 0)
		goto out;
	what = (struct store_change){
		.strategy = strategy,
		.settings = s.store,
		.n_settings = s.n_store,
		.strategy_settings = s.strategy,
		.n_strategy_settings = s.n_strategy,
	};
	r = store_configure(c->db, &what, err);
out:
	settings_release(&s);
	return r;
}

int main(int argc, char **argv)
{
	struct store_error err = STORE_ERROR_INIT;
	struct config c = { .json = false };
	struct tool *t = &c.t;
	const char *strategy = NULL;
	int changes = 0, o, r;

	tool_start(t, &spec, argc, argv);
	while ((o = tool_option(t)) != -1) {
		if (o == OPT_JSON)
			c.json = true;
		else
			strategy = t->value;
	}
	for (int i = 0; i < t->argc; i++)
		changes += strchr(t->argv[i], '=') != NULL;
	if (changes && changes < t->argc)
		tool_usage(t, "NAME shows and NAME=VALUE changes: one of both");
	if (strategy && changes < t->argc)
		tool_usage(t, "--strategy changes, a NAME alone shows");
	if (c.json && (t->argc || strategy))
		tool_usage(t, "--json shows everything, and takes no operands");
	c.out = OUTPUT_INIT(RECORD_TSV, &err);
	r = strategy || changes ? change(&c, strategy, &err) : show(&c, &err);
	store_configuration_free(&c.now);
	json_decref(c.strategy);
	json_decref(c.taken);
	output_release(&c.out);
	store_close(c.db);
	return tool_status(t, r, &err);
}
