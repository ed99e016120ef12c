#include "lib/number.h"

static int draw(struct store *db, uint64_t *number, struct store_error *err)
{
	struct slot s;
	int r;

	r = lock_acquire(&db->lock, ROLE_NUMBER, err);
	if (r < 0)
		return r;
	r = living_read(&db->state, STATE_COUNTER_OFF, &s, err);
	if (r == 0 &&
	    (s.v[COUNTER_NEXT] == 0 || s.v[COUNTER_NEXT] > NUMBER_MAX))
		r = store_corrupt(err, db->dir.path, NAME_STATE,
				  STATE_COUNTER_OFF, "impossible counter");
	if (r == 0) {
		*number = s.v[COUNTER_NEXT]++;
		r = living_publish(&db->state, STATE_COUNTER_OFF, &s, err);
	}
	lock_release(&db->lock, ROLE_NUMBER);
	return r;
}

int number_draw(struct store *db, uint64_t *number, struct store_error *err)
{
	int r;

	do {
		r = draw(db, number, err);
		if (r == 0)
			r = lock_claim(&db->lock, *number, err);
	} while (r == 0);
	return r < 0 ? r : 0;
}

int number_age(struct store *db, uint64_t *number, struct store_error *err)
{
	return draw(db, number, err);
}

int number_next(struct store *db, uint64_t *next, struct store_error *err)
{
	struct slot s;
	int r = living_read(&db->state, STATE_COUNTER_OFF, &s, err);

	*next = s.v[COUNTER_NEXT];
	return r;
}
