#include "bin/settings.h"
#include "bin/child.h"

#include <stdio.h>

#define ASKED "lsm-compact"

struct store_setting_text settings_cut(const struct tool *t, char *operand)
{
	char *eq = strchr(operand, '=');

	if (!eq || eq == operand)
		tool_usage(t, "not NAME=VALUE: %s", operand);
	*eq = '\0';
	return (struct store_setting_text){ operand, eq + 1 };
}

static bool is_of_the_store(const struct store_configuration *c,
			    const char *name)
{
	for (size_t i = 0; i < c->n_options; i++)
		if (!strcmp(c->options[i].name, name))
			return true;
	return false;
}

int settings_sort(struct settings *s, const struct tool *t, char **operands,
		  int n, struct store_error *err)
{
	struct store_configuration known;
	int r = store_configuration(NULL, &known, err);

	if (r < 0)
		return r;
	s->store = calloc((size_t)n + 1, sizeof(*s->store));
	s->strategy = calloc((size_t)n + 1, sizeof(*s->strategy));
	if (!s->store || !s->strategy)
		r = store_nomem(err);
	for (int i = 0; r == 0 && i < n; i++) {
		struct store_setting_text one = settings_cut(t, operands[i]);

		if (is_of_the_store(&known, one.name))
			s->store[s->n_store++] = one;
		else
			s->strategy[s->n_strategy++] = one;
	}
	store_configuration_free(&known);
	return r;
}

void settings_release(struct settings *s)
{
	free(s->store);
	free(s->strategy);
	*s = SETTINGS_INIT;
}

/* lsm-compact --options STRATEGY -- NAME=VALUE ...: NULL, no memory. */
static const char **command(const char *strategy,
			    const struct store_setting_text *list, size_t n)
{
	const char **args = calloc(n + 5, sizeof(*args));
	size_t at = 0;
	char *one;

	if (!args)
		return NULL;
	args[at++] = ASKED;
	args[at++] = "--options";
	args[at++] = strategy;
	args[at++] = "--";
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(list[i].value, "default"))
			continue;
		if (asprintf(&one, "%s=%s", list[i].name, list[i].value) < 0)
			one = NULL;
		args[at++] = one;
		if (!one)
			break;
	}
	return args;
}

static void command_free(const char **args)
{
	for (size_t i = 4; args && args[i]; i++)
		free((char *)(uintptr_t)args[i]);
	free(args);
}

/* "lsm-compact: WHY\n" is what it says: WHY is ours to say. */
static int refused(struct buf *said, int status, struct store_error *err)
{
	static const char before[] = ASKED ": ";
	const char *why = (const char *)said->data;
	size_t len = said->len;

	while (len && why[len - 1] == '\n')
		len--;
	if (len > strlen(before) && !memcmp(why, before, strlen(before))) {
		why += strlen(before);
		len -= strlen(before);
	}
	store_fail(err, STORE_ECONFIG, "%.*s", (int)len, len ? why : "");
	if (status == EXIT_CONFIGURATION && len)
		return STORE_ECONFIG;
	if (!len && err)
		*err = STORE_ERROR_INIT;
	if (!len)
		store_fail(err, STORE_ESYSTEM, "%s ended with status %d", ASKED,
			   status);
	return 1;
}

int settings_ask(const char *strategy, const struct store_setting_text *list,
		 size_t n, struct buf *out, struct store_error *err)
{
	const char **args = command(strategy, list, n);
	int r;

	if (!args)
		return store_nomem(err);
	r = child_run(args, out, err);
	command_free(args);
	if (r < 0)
		return 1;
	return r == 0 ? 0 : refused(out, r, err);
}
