/*
 * store_strategy() (lib/store.h): what a strategy tells of itself.
 *
 * A file of its own, because it loads plugins: only who calls it links that.
 */
#include "lib/inspectout.h"
#include "lib/plugin.h"
#include "lib/store.h"

static const char *const type_names[] = { "count", "bytes", "seconds",
					  "signed" };

static json_t *value_of(const struct lsm_option *o, uint64_t v)
{
	return o->type == LSM_SIGNED ? json_integer((json_int_t)v)
				     : value_count(v);
}

static int emit(json_t *line, store_sink *sink, void *ctx,
		struct store_error *err)
{
	char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
	int r;

	json_decref(line);
	if (!text)
		return store_nomem(err);
	r = sink(ctx, slice_str(text));
	if (r >= 0)
		r = sink(ctx, slice_str("\n"));
	free(text);
	return r < 0 ? r : 0;
}

static int emit_all(const struct lsm_strategy *s, const uint64_t *values,
		    store_sink *sink, void *ctx, struct store_error *err)
{
	int r;

	r = emit(json_pack("{s:s,s:o}", "strategy", s->name, "summary",
			   value_string(s->summary ? s->summary : "")),
		 sink, ctx, err);
	for (size_t i = 0; r == 0 && i < s->n_options; i++) {
		const struct lsm_option *o = &s->options[i];

		r = emit(json_pack("{s:s,s:s,s:o,s:o,s:o,s:o,s:o}", "name",
				   o->name, "type", type_names[o->type],
				   "value", value_of(o, values[i]), "default",
				   value_of(o, o->def), "min",
				   value_of(o, o->min), "max",
				   value_of(o, o->max), "help",
				   value_string(o->help ? o->help : "")),
			 sink, ctx, err);
	}
	return r;
}

int store_strategy(const char *plugins, const char *name,
		   const struct store_setting_text *settings, size_t n,
		   store_sink *sink, void *ctx, struct store_error *err)
{
	struct plugin p = PLUGIN_INIT;
	uint64_t values[LSM_OPTIONS_MAX];
	struct setting *list = calloc(n + 1, sizeof(*list));
	int r;

	if (!list)
		return store_nomem(err);
	/* Read only; a manifest's settings own their text, these do not. */
	for (size_t i = 0; i < n; i++)
		list[i] = (struct setting){
			(char *)(uintptr_t)settings[i].name,
			(char *)(uintptr_t)settings[i].value
		};
	r = plugin_open(&p, plugins, name, err);
	if (r == 0)
		r = plugin_options(p.strategy, list, n, values, err);
	if (r == 0)
		r = emit_all(p.strategy, values, sink, ctx, err);
	plugin_close(&p);
	free(list);
	return r;
}
