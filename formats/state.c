#include "formats/state.h"

#include <xxhash.h>

void token_seal(struct token *t)
{
	t->checksum = XXH3_64bits(t, offsetof(struct token, checksum));
}

bool token_ok(const struct token *t, uint64_t magic, uint32_t version)
{
	return t->magic == magic && t->version == version &&
	       t->n_pairs <= STATE_PAIRS &&
	       t->checksum == XXH3_64bits(t, offsetof(struct token, checksum));
}

static uint64_t slot_sum(const struct slot *s, uint32_t cell_off)
{
	return XXH3_64bits_withSeed(s, offsetof(struct slot, checksum),
				    cell_off);
}

static bool slot_zero(const struct slot *s)
{
	static const struct slot zero;

	return !memcmp(s, &zero, sizeof(zero));
}

bool cell_read(const uint8_t *raw, uint32_t off, struct slot *s)
{
	struct cell c;
	int newer;

	memcpy(&c, raw, sizeof(c));
	newer = c.slot[1].seq > c.slot[0].seq;
	for (int i = 0; i < 2; i++, newer = !newer) {
		*s = c.slot[newer];
		if (s->seq && s->seq % 2 == (uint64_t)newer &&
		    s->checksum == slot_sum(s, off))
			return true;
	}
	*s = (struct slot){ 0 };
	return slot_zero(&c.slot[0]) && slot_zero(&c.slot[1]);
}

uint32_t cell_next(uint32_t off, struct slot *s)
{
	s->seq++;
	s->checksum = slot_sum(s, off);
	return off + (uint32_t)(s->seq % 2) * (uint32_t)sizeof(*s);
}

uint64_t tail_hash(struct slice key)
{
	return XXH3_64bits(key.data, key.len);
}

void hint_seal(struct hint *h)
{
	h->checksum = XXH3_64bits(h, offsetof(struct hint, checksum));
}

bool hint_ok(const struct hint *h)
{
	return memchr(h->tool, 0, sizeof(h->tool)) &&
	       h->checksum == XXH3_64bits(h, offsetof(struct hint, checksum));
}
