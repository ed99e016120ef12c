#include "lib/configure.h"

#include "formats/jsontext.h"
#include "lib/install.h"

#include <assert.h>

#define NAME_MAX_BYTES 64u
#define VALUE_MAX_BYTES 1024u

/* ---- changing ---- */

static bool name_ok(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n >= NAME_MAX_BYTES || *s < 'a' || *s > 'z')
		return false;
	return strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == n;
}

static int check_setting(const struct store_setting_text *s,
			 struct store_error *err)
{
	if (!name_ok(s->name))
		return store_fail(err, STORE_ECONFIG,
				  "unknown option: a name is a letter, then "
				  "letters, digits and _ in lower case");
	if (strlen(s->value) > VALUE_MAX_BYTES || !text_ok(slice_str(s->value)))
		return store_fail(err, STORE_ECONFIG,
				  "option %s: its value is too long, or not "
				  "printable",
				  s->name);
	return 0;
}

static void remove_setting(struct manifest *m, size_t i)
{
	free(m->settings[i].name);
	free(m->settings[i].value);
	m->n_settings--;
	memmove(&m->settings[i], &m->settings[i + 1],
		(m->n_settings - i) * sizeof(*m->settings));
}

/* Set, or with "default" take back, keeping the order by name: 1 or 0. */
static int put_setting(struct manifest *m, const struct store_setting_text *s,
		       struct store_error *err)
{
	struct setting new = { NULL, NULL }, *p;
	size_t i = 0;
	bool there;

	while (i < m->n_settings && strcmp(m->settings[i].name, s->name) < 0)
		i++;
	there = i < m->n_settings && !strcmp(m->settings[i].name, s->name);
	if (there && !strcmp(m->settings[i].value, s->value))
		return 0;
	if (!strcmp(s->value, "default")) {
		if (there)
			remove_setting(m, i);
		return there;
	}
	if (there)
		remove_setting(m, i);
	p = realloc(m->settings, (m->n_settings + 1) * sizeof(*p));
	if (!p)
		return store_nomem(err);
	m->settings = p;
	new.name = strdup(s->name);
	new.value = strdup(s->value);
	if (!new.name || !new.value) {
		free(new.name);
		free(new.value);
		return store_nomem(err);
	}
	memmove(&p[i + 1], &p[i], (m->n_settings - i) * sizeof(*p));
	p[i] = new;
	m->n_settings++;
	return 1;
}

/* 1 when it is another than before. */
static int put_strategy(struct manifest *m, const char *name,
			struct store_error *err)
{
	char *copy;

	if (!name || (m->strategy && !strcmp(m->strategy, name)))
		return 0;
	if (!strategy_name_ok(name))
		return store_fail(err, STORE_ECONFIG,
				  "strategy: a name is 1 to 32 of a-z, 0-9, "
				  "- and _");
	copy = strdup(name);
	if (!copy)
		return store_nomem(err);
	free(m->strategy);
	m->strategy = copy;
	while (m->n_settings)
		remove_setting(m, m->n_settings - 1);
	return 1;
}

int configure_apply(struct manifest *m, const struct store_change *change,
		    struct store_error *err)
{
	struct options before = m->options;
	int r, changed;

	changed = put_strategy(m, change->strategy, err);
	for (size_t i = 0; changed >= 0 && i < change->n_settings; i++) {
		r = options_set(&m->options,
				slice_str(change->settings[i].name),
				slice_str(change->settings[i].value), err);
		changed = r < 0 ? r : changed;
	}
	for (size_t i = 0; changed >= 0 && i < change->n_strategy_settings;
	     i++) {
		r = check_setting(&change->strategy_settings[i], err);
		if (r == 0)
			r = put_setting(m, &change->strategy_settings[i], err);
		changed = r < 0 ? r : changed || r;
	}
	if (changed < 0)
		return changed;
	r = options_check(&m->options, err);
	if (r < 0)
		return r;
	return changed || memcmp(&before, &m->options, sizeof(before)) != 0;
}

/* Refuses, so that nothing is installed, when there is nothing to change. */
static int configure_edit(struct manifest *m, void *ctx,
			  struct store_error *err)
{
	int r = configure_apply(m, ctx, err);

	return r < 0 ? r : r == 0;
}

int store_configure(struct store *db, const struct store_change *change,
		    struct store_error *err)
{
	struct store_change copy = *change;
	int r;

	if (!db->write || db->private)
		return store_fail(err, STORE_EACCESS,
				  "%s: a change needs a store opened for "
				  "writing",
				  db->dir.path);
	r = install(db, configure_edit, &copy, NULL, err);
	return r < 0 ? r : 0;
}

/* ---- showing ---- */

static void show_option(const struct options *o, const struct option_spec *s,
			struct store_option *out)
{
	static_assert((int)STORE_COUNT == (int)OPTION_COUNT &&
			      (int)STORE_BYTES == (int)OPTION_BYTES &&
			      (int)STORE_WORD == (int)OPTION_WORD,
		      "store.h repeats formats/options.h");

	*out = (struct store_option){
		.name = s->name,
		.type = (enum store_option_type)s->type,
		.value = option_get(o, s),
		.def = s->def,
		.min = s->min,
		.max = s->max,
		.words = s->words,
		.help = s->help,
	};
}

static int show_settings(const struct manifest *m,
			 struct store_configuration *out,
			 struct store_error *err)
{
	for (size_t i = 0; i < m->n_settings; i++) {
		struct store_setting_text *s = &out->settings[i];

		s->name = strdup(m->settings[i].name);
		s->value = strdup(m->settings[i].value);
		out->n_settings++;
		if (!s->name || !s->value)
			return store_nomem(err);
	}
	return 0;
}

static int show(const struct manifest *m, struct store_configuration *out,
		struct store_error *err)
{
	size_t n = 0;

	while (option_specs[n].name)
		n++;
	*out = (struct store_configuration){
		.options = calloc(n, sizeof(*out->options)),
		.strategy = strdup(m->strategy),
		.settings = calloc(m->n_settings + 1, sizeof(*out->settings)),
	};
	if (!out->options || !out->strategy || !out->settings)
		return store_nomem(err);
	for (; out->n_options < n; out->n_options++)
		show_option(&m->options, &option_specs[out->n_options],
			    &out->options[out->n_options]);
	return show_settings(m, out, err);
}

int store_configuration(struct store *db, struct store_configuration *out,
			struct store_error *err)
{
	const struct store_change standard = { .strategy = DEFAULT_STRATEGY };
	struct manifest m = MANIFEST_INIT;
	int r;

	*out = (struct store_configuration){ .n_options = 0 };
	if (db) {
		r = install_manifest(db, &m, err);
	} else {
		options_default(&m.options);
		r = configure_apply(&m, &standard, err);
	}
	if (r >= 0)
		r = show(&m, out, err);
	manifest_release(&m);
	if (r < 0)
		store_configuration_free(out);
	return r < 0 ? r : 0;
}

void store_configuration_free(struct store_configuration *c)
{
	for (size_t i = 0; i < c->n_settings; i++) {
		free((char *)(uintptr_t)c->settings[i].name);
		free((char *)(uintptr_t)c->settings[i].value);
	}
	free(c->settings);
	free(c->options);
	free(c->strategy);
	*c = (struct store_configuration){ .n_options = 0 };
}
