#include "formats/plan.h"

#include "formats/jsonread.h"
#include "formats/jsontext.h"
#include "formats/manifest.h"

#include <stdio.h>

static const char *const kinds[] = {
	[PLAN_MERGE] = "merge",
	[PLAN_MOVE] = "move",
	[PLAN_DROP] = "drop",
	[PLAN_FLUSH] = "flush",
};

void plan_job_release(struct plan_job *j)
{
	free(j->inputs);
	*j = (struct plan_job){ .kind = 0 };
}

void plan_release(struct plan *p)
{
	for (size_t i = 0; i < p->n; i++)
		plan_job_release(&p->jobs[i]);
	free(p->jobs);
	*p = PLAN_INIT;
}

/* ---- writing ---- */

/* Append it, and take it over; NULL: no memory. */
static int append_json(struct buf *out, json_t *v)
{
	char *text = v ? json_dumps(v, JSON_ENCODE_ANY) : NULL;
	int r = text ? buf_append_slice(out, slice_str(text)) : -1;

	free(text);
	json_decref(v);
	return r;
}

static json_t *inputs_json(const struct plan_job *j)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < j->n_inputs; i++)
		if (json_array_append_new(
			    list, json_integer((json_int_t)j->inputs[i]))) {
			json_decref(list);
			list = NULL;
		}
	return list;
}

static json_t *run_json(const struct plan_job *j)
{
	return j->into ? json_integer((json_int_t)j->into) : json_string("new");
}

/* The members that a job of its kind has, in this order. */
static json_t *job_json(const struct plan_job *j)
{
	json_t *o = json_pack("{s:s}", "kind", kinds[j->kind]);
	int bad = !o;

	if (j->kind != PLAN_FLUSH)
		bad = bad || json_object_set_new(o, "inputs", inputs_json(j));
	if (j->kind == PLAN_MERGE || j->kind == PLAN_MOVE)
		bad = bad ||
		      json_object_set_new(o, "level", json_integer(j->level)) ||
		      json_object_set_new(o, "run", run_json(j));
	if (j->kind == PLAN_MERGE)
		bad = bad || json_object_set_new(
				     o, "table_bytes",
				     json_integer((json_int_t)j->table_bytes));
	if (j->kind != PLAN_FLUSH)
		bad = bad ||
		      json_object_set_new(o, "bytes",
					  json_integer((json_int_t)j->bytes));
	bad = bad || json_object_set_new(o, "why", json_string(j->why));
	if (bad) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static json_t *count_json(uint64_t v)
{
	return json_integer((json_int_t)(v < NUMBER_MAX ? v : NUMBER_MAX));
}

static int append_member(struct buf *out, const char *name, json_t *v)
{
	if (buf_append_slice(out, slice_str(" \"")) < 0 ||
	    buf_append_slice(out, slice_str(name)) < 0 ||
	    buf_append_slice(out, slice_str("\": ")) < 0) {
		json_decref(v);
		return -1;
	}
	if (append_json(out, v) < 0)
		return -1;
	return buf_append_slice(out, slice_str(",\n"));
}

static int append_heading(struct buf *out, const struct plan *p,
			  const struct plan_heading *h)
{
	char uuid[32];

	hex_encode(uuid, h->uuid, sizeof(h->uuid));
	if (buf_append_slice(out, slice_str("{\n")) < 0 ||
	    append_member(out, "format", json_string(PLAN_FORMAT)) < 0 ||
	    append_member(out, "version", json_integer(PLAN_VERSION)) < 0 ||
	    append_member(out, "store", json_stringn(uuid, sizeof(uuid))) < 0 ||
	    append_member(out, "generation", count_json(h->generation)) < 0)
		return -1;
	if (h->strategy[0] &&
	    append_member(out, "strategy", json_string(h->strategy)) < 0)
		return -1;
	if (append_member(out, "need", count_json(p->need)) < 0 ||
	    append_member(out, "drops", json_boolean(h->drops)) < 0)
		return -1;
	return buf_append_slice(out, slice_str(" \"jobs\": ["));
}

int plan_format(const struct plan *p, const struct plan_heading *h,
		struct buf *out, struct store_error *err)
{
	if (append_heading(out, p, h) < 0)
		return store_nomem(err);
	for (size_t i = 0; i < p->n; i++)
		if (buf_append_slice(out, slice_str(i ? ",\n  " : "\n  ")) <
			    0 ||
		    append_json(out, job_json(&p->jobs[i])) < 0)
			return store_nomem(err);
	if (buf_append_slice(out, slice_str(p->n ? "\n ]\n}\n" : "]\n}\n")) < 0)
		return store_nomem(err);
	return 0;
}

/* ---- reading ---- */

/* An optional count: *v is left alone when it is not there. */
static int read_count(const struct jsonread *rd, json_t *o, const char *name,
		      uint64_t *v)
{
	return json_object_get(o, name) ? jsonread_count(rd, o, name, v) : 0;
}

static int read_kind(const struct jsonread *rd, json_t *o, struct plan_job *j)
{
	json_t *v = json_object_get(o, "kind");

	for (j->kind = PLAN_MERGE; j->kind <= PLAN_FLUSH; j->kind++)
		if (json_is_string(v) &&
		    slice_eq(jsonread_slice(v), slice_str(kinds[j->kind])))
			return 0;
	return jsonread_bad(rd, "\"kind\" is not merge, move, drop or flush");
}

static bool is_number(json_t *v)
{
	return json_is_integer(v) && json_integer_value(v) > 0 &&
	       (uint64_t)json_integer_value(v) <= NUMBER_MAX;
}

static int read_inputs(const struct jsonread *rd, json_t *o, struct plan_job *j)
{
	json_t *list;
	int r = jsonread_array(rd, o, "inputs", &list);

	if (r < 0)
		return r;
	j->inputs = calloc(json_array_size(list) + 1, sizeof(*j->inputs));
	if (!j->inputs)
		return store_nomem(rd->err);
	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *v = json_array_get(list, i);

		if (!is_number(v))
			return jsonread_bad(rd,
					    "\"inputs\": the %zu. is not "
					    "the number of a table",
					    i + 1);
		j->inputs[j->n_inputs++] = (uint64_t)json_integer_value(v);
	}
	return 0;
}

static int read_output(const struct jsonread *rd, json_t *o, struct plan_job *j)
{
	json_t *run = json_object_get(o, "run");
	uint64_t level = 0;
	int r = jsonread_count(rd, o, "level", &level);

	if (r == 0 && level > UINT32_MAX)
		r = jsonread_bad(rd, "\"level\" is not one");
	if (r < 0)
		return r;
	j->level = (uint32_t)level;
	if (is_number(run))
		j->into = (uint64_t)json_integer_value(run);
	else if (run && (!json_is_string(run) ||
			 !slice_eq(jsonread_slice(run), slice_str("new"))))
		return jsonread_bad(rd, "\"run\" is neither \"new\" nor the "
					"number of a table in it");
	return 0;
}

static int read_why(const struct jsonread *rd, json_t *o, struct plan_job *j)
{
	json_t *v = json_object_get(o, "why");
	struct slice s;

	if (!v)
		return 0;
	if (!json_is_string(v))
		return jsonread_bad(rd, "\"why\" is not a string");
	s = jsonread_slice(v);
	for (size_t i = 0; i < s.len && i < sizeof(j->why) - 1; i++)
		j->why[i] = s.data[i] >= 0x20 && s.data[i] < 0x7f
				    ? (char)s.data[i]
				    : '?';
	return 0;
}

static int read_job(const struct jsonread *rd, json_t *o, struct plan_job *j)
{
	static const char *const of_merge[] = { "kind",	       "inputs",
						"level",       "run",
						"bytes",       "why",
						"table_bytes", NULL };
	static const char *const of_move[] = { "kind", "inputs", "level",
					       "run",  "bytes",	 "why",
					       NULL };
	static const char *const of_drop[] = { "kind", "inputs", "bytes", "why",
					       NULL };
	static const char *const of_flush[] = { "kind", "why", NULL };
	static const char *const *const members[] = {
		[PLAN_MERGE] = of_merge,
		[PLAN_MOVE] = of_move,
		[PLAN_DROP] = of_drop,
		[PLAN_FLUSH] = of_flush,
	};
	int r;

	if (!json_is_object(o))
		return jsonread_bad(rd, "is not an object");
	if ((r = read_kind(rd, o, j)) < 0 ||
	    (r = jsonread_only(rd, o, members[j->kind])) < 0 ||
	    (r = read_why(rd, o, j)) < 0 || j->kind == PLAN_FLUSH)
		return r;
	if ((r = read_inputs(rd, o, j)) < 0 ||
	    (r = read_count(rd, o, "bytes", &j->bytes)) < 0 ||
	    j->kind == PLAN_DROP)
		return r;
	if ((r = read_output(rd, o, j)) < 0)
		return r;
	return read_count(rd, o, "table_bytes", &j->table_bytes);
}

static int read_jobs(const struct jsonread *rd, json_t *root, struct plan *p)
{
	char name[40];
	struct jsonread at = { .name = name, .err = rd->err };
	json_t *list;
	size_t n;
	int r = jsonread_array(rd, root, "jobs", &list);

	if (r < 0)
		return r;
	n = json_array_size(list);
	if (n > PLAN_MAX_JOBS)
		return jsonread_bad(rd, "%zu jobs, over %u", n, PLAN_MAX_JOBS);
	p->jobs = calloc(n + 1, sizeof(*p->jobs));
	if (!p->jobs)
		return store_nomem(rd->err);
	while (r == 0 && p->n < n) {
		snprintf(name, sizeof(name), "plan: job %zu", p->n + 1);
		r = read_job(&at, json_array_get(list, p->n), &p->jobs[p->n]);
		p->n++;
	}
	return r;
}

/* Whose plan, of which store. */
static int read_names(const struct jsonread *rd, json_t *root,
		      struct plan_heading *h)
{
	struct slice uuid = jsonread_slice(json_object_get(root, "store"));
	json_t *strategy = json_object_get(root, "strategy");

	if (uuid.len != 2 * sizeof(h->uuid) || !hex_decode(h->uuid, uuid))
		return jsonread_bad(rd, "\"store\" is not the uuid of a store");
	if (!strategy)
		return 0;
	if (!json_is_string(strategy) ||
	    strlen(json_string_value(strategy)) !=
		    json_string_length(strategy) ||
	    !strategy_name_ok(json_string_value(strategy)))
		return jsonread_bad(rd, "\"strategy\" is not a strategy's "
					"name");
	snprintf(h->strategy, sizeof(h->strategy), "%s",
		 json_string_value(strategy));
	return 0;
}

static int read_heading(const struct jsonread *rd, json_t *root, struct plan *p,
			struct plan_heading *h)
{
	static const char *const members[] = {
		"format", "version", "store", "generation", "strategy",
		"need",	  "drops",   "jobs",  NULL
	};
	json_t *drops = json_object_get(root, "drops");
	uint64_t version;
	int r;

	if (!json_is_object(root) ||
	    !slice_eq(jsonread_slice(json_object_get(root, "format")),
		      slice_str(PLAN_FORMAT)))
		return jsonread_bad(rd,
				    "\"format\" is not \"" PLAN_FORMAT "\"");
	if ((r = jsonread_count(rd, root, "version", &version)) < 0)
		return r;
	if (version != PLAN_VERSION)
		return jsonread_bad(rd, "a version that this program does not "
					"know");
	if ((r = jsonread_only(rd, root, members)) < 0 ||
	    (r = read_names(rd, root, h)) < 0 ||
	    (r = read_count(rd, root, "generation", &h->generation)) < 0 ||
	    (r = read_count(rd, root, "need", &p->need)) < 0)
		return r;
	if (drops && !json_is_boolean(drops))
		return jsonread_bad(rd, "\"drops\" is neither true nor false");
	h->drops = json_is_true(drops);
	return 0;
}

int plan_parse(struct plan *p, struct plan_heading *h, struct slice text,
	       struct store_error *err)
{
	const struct jsonread rd = { .name = "plan", .err = err };
	json_t *root = NULL;
	int r;

	*h = (struct plan_heading){ .generation = 0 };
	if (text.len > PLAN_MAX_BYTES)
		return jsonread_bad(&rd, "over %u bytes", PLAN_MAX_BYTES);
	if ((r = jsonread_load(&rd, text, &root)) == 0 &&
	    (r = read_heading(&rd, root, p, h)) == 0)
		r = read_jobs(&rd, root, p);
	json_decref(root);
	if (r < 0)
		plan_release(p);
	return r;
}
