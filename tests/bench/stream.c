#include "tests/bench/stream.h"

bool stream_init(struct stream *s, const char *workload, uint64_t records)
{
	*s = (struct stream){ .records = records, .writes = records };
	if (!strcmp(workload, "uniform"))
		return true;
	if (!strcmp(workload, "overwrite")) {
		s->writes += records * 5;
		return true;
	}
	if (!strcmp(workload, "delete-heavy")) {
		s->deletes = true;
		s->writes += records / 2;
		return true;
	}
	if (strcmp(workload, "zipf"))
		return false;
	s->by_zipf = true;
	s->writes += records;
	workload_zipf_init(&s->zipf, records);
	return true;
}

bool stream_next(struct stream *s, struct stream_op *op)
{
	uint64_t i = s->at++, n = i;

	if (i >= s->writes)
		return false;
	op->deletes = s->deletes && i >= s->records;
	if (op->deletes)
		n = (i - s->records) * 2;
	else if (i >= s->records)
		n = s->by_zipf ? workload_zipf(&s->zipf, i)
			       : workload_uniform(i, s->records);
	workload_key(n, false, op->key, STREAM_KEY);
	if (!op->deletes)
		workload_value(n, i / s->records, op->value, STREAM_VALUE);
	return true;
}

void stream_lookup(uint64_t records, bool present, uint64_t i,
		   uint8_t key[STREAM_KEY])
{
	uint64_t n = WORKLOAD_ABSENT + i;

	/* The odd ones are never deleted. */
	if (present)
		n = workload_uniform(i, records / 2) * 2 + 1;
	workload_key(n, false, key, STREAM_KEY);
}
