#include "lib/pace.h"

#include "lib/os.h"

#define NAP_US 100000u	  /* a sleep is cut into these, to see the flag */
#define CREDIT_US 100000u /* time without writing that counts later */
#define SHOW_MS 100u

void pace_init(struct pace *p, const struct store_compact_config *config)
{
	*p = (struct pace){ .config = config,
			    .budget = config->max_bytes ? config->max_bytes
							: UINT64_MAX };
	pthread_mutex_init(&p->mutex, NULL);
}

void pace_release(struct pace *p)
{
	pthread_mutex_destroy(&p->mutex);
}

bool pace_over(struct pace *p)
{
	const struct store_compact_config *c = p->config;

	if (atomic_load_explicit(&p->over, memory_order_relaxed))
		return true;
	if ((c->stop && *c->stop) ||
	    (c->until_ms && os.now_ms() >= c->until_ms))
		pace_end(p);
	return atomic_load_explicit(&p->over, memory_order_relaxed);
}

void pace_end(struct pace *p)
{
	atomic_store_explicit(&p->over, true, memory_order_relaxed);
}

bool pace_afford(struct pace *p, uint64_t bytes)
{
	uint64_t all = p->config->max_bytes;
	bool ok;

	pthread_mutex_lock(&p->mutex);
	ok = !all || bytes <= p->budget || p->budget == all;
	pthread_mutex_unlock(&p->mutex);
	return ok;
}

/* Under the mutex. */
static void show(struct pace *p, const char *what)
{
	p->shown_ms = os.monotonic_ms();
	p->progress.what = what;
	if (p->config->progress)
		p->config->progress(p->config->progress_ctx, &p->progress);
}

void pace_plan(struct pace *p, int64_t bytes)
{
	pthread_mutex_lock(&p->mutex);
	p->progress.bytes_total += (uint64_t)bytes;
	pthread_mutex_unlock(&p->mutex);
}

void pace_read(struct pace *p, uint64_t bytes, const char *what)
{
	pthread_mutex_lock(&p->mutex);
	p->progress.bytes_done += bytes;
	if (p->config->max_bytes) {
		p->budget -= bytes < p->budget ? bytes : p->budget;
		if (p->budget == 0)
			pace_end(p);
	}
	if (os.monotonic_ms() >= p->shown_ms + SHOW_MS)
		show(p, what);
	pthread_mutex_unlock(&p->mutex);
}

void pace_wrote(struct pace *p, uint64_t bytes)
{
	uint64_t rate = p->config->rate, now, due;

	if (!rate)
		return;
	pthread_mutex_lock(&p->mutex);
	now = os.monotonic_us();
	if (p->due_us + CREDIT_US < now)
		p->due_us = now - CREDIT_US;
	/* in two parts, lest the product overflow */
	p->due_us += bytes / rate * 1000000 + bytes % rate * 1000000 / rate;
	due = p->due_us;
	pthread_mutex_unlock(&p->mutex);
	while (now < due && !pace_over(p)) {
		os.sleep_us(due - now < NAP_US ? due - now : NAP_US);
		now = os.monotonic_us();
	}
}

void pace_show(struct pace *p, const char *what)
{
	pthread_mutex_lock(&p->mutex);
	show(p, what);
	pthread_mutex_unlock(&p->mutex);
}

void pace_job(struct pace *p, const char *what)
{
	pthread_mutex_lock(&p->mutex);
	p->progress.jobs_done++;
	show(p, what);
	pthread_mutex_unlock(&p->mutex);
}
