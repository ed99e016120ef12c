#include "lib/packing.h"

#include <pthread.h>

/* Blocks before compression that go to the thread at a time. */
#define PACKET_BYTES ((size_t)256 << 10)

struct packet {
	struct buf blocks; /* one behind the other */
	struct buf names;  /* their separators, likewise */
	struct buf parts;  /* struct part each */
	uint64_t decoded;  /* bytes that all blocks have */
};

/* Where a block and its separator end, and what the block is. */
struct part {
	uint32_t block_end, name_end;
	uint32_t decoded;
	bool packed; /* stored once already, with `codec` */
	uint8_t codec;
};

struct packing {
	struct tableout *out;
	struct places *places;
	struct packet collected, given;
	struct part last;      /* of the block that has no separator yet */
	uint64_t written;      /* bytes, without the packet given last */
	uint64_t written_of;   /* decoded */
	uint64_t given_of;     /* bytes of that packet */
	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t changed;
	pthread_t thread;
	bool started, busy, closing;
	int r;
	struct store_error err;
};

static void packet_clear(struct packet *k)
{
	buf_clear(&k->blocks);
	buf_clear(&k->names);
	buf_clear(&k->parts);
	k->decoded = 0;
}

static void packet_free(struct packet *k)
{
	buf_free(&k->blocks);
	buf_free(&k->names);
	buf_free(&k->parts);
}

int packing_new(struct packing **out, struct tableout *o, struct places *places,
		struct store_error *err)
{
	struct packing *p = calloc(1, sizeof(*p));

	if (!p)
		return store_nomem(err);
	p->out = o;
	p->places = places;
	pthread_mutex_init(&p->mutex, NULL);
	pthread_cond_init(&p->changed, NULL);
	*out = p;
	return 0;
}

/* ---- the thread ---- */

static struct slice between(const struct buf *b, uint32_t from, uint32_t to)
{
	return slice_make(b->data + from, to - from);
}

static int write_block(struct packing *p, struct slice bytes,
		       const struct part *part, struct sst_place *place,
		       struct store_error *err)
{
	struct sst_block b = { bytes, part->codec, part->decoded };

	return part->packed
		       ? tableout_move(p->out, &b, SST_DATA, place, err)
		       : tableout_block(p->out, bytes, SST_DATA, place, err);
}

static int write_packet(struct packing *p, const struct packet *k,
			struct store_error *err)
{
	struct part from = { .block_end = 0 }, to;
	struct sst_place place;
	int r = 0;

	for (size_t i = 0; r == 0 && i < k->parts.len; i += sizeof(to)) {
		memcpy(&to, k->parts.data + i, sizeof(to));
		r = write_block(
			p, between(&k->blocks, from.block_end, to.block_end),
			&to, &place, err);
		if (r == 0)
			r = places_add(
				p->places,
				between(&k->names, from.name_end, to.name_end),
				place, err);
		from = to;
	}
	return r;
}

static void *work(void *ctx)
{
	struct packing *p = ctx;
	struct store_error err;
	int r;

	pthread_mutex_lock(&p->mutex);
	while (p->busy || !p->closing) {
		if (!p->busy) {
			pthread_cond_wait(&p->changed, &p->mutex);
			continue;
		}
		pthread_mutex_unlock(&p->mutex);
		err = STORE_ERROR_INIT;
		r = write_packet(p, &p->given, &err);
		pthread_mutex_lock(&p->mutex);
		if (r < 0) {
			p->r = r;
			p->err = err;
		}
		p->busy = false;
		pthread_cond_signal(&p->changed);
	}
	pthread_mutex_unlock(&p->mutex);
	return NULL;
}

/* ---- the caller ---- */

/* Until the thread has nothing to do: 0, or its error. */
static int await(struct packing *p, struct store_error *err)
{
	int r;

	pthread_mutex_lock(&p->mutex);
	while (p->busy)
		pthread_cond_wait(&p->changed, &p->mutex);
	r = p->r;
	pthread_mutex_unlock(&p->mutex);
	if (r < 0 && err && err->code == 0)
		*err = p->err;
	p->written = tableout_end(p->out) + p->places->bytes.len;
	p->written_of += p->given_of;
	p->given_of = 0;
	packet_clear(&p->given);
	return r;
}

/* What is collected goes to the thread; without one it is written here. */
static int give(struct packing *p, struct store_error *err)
{
	struct packet k;
	sigset_t before;
	int r = await(p, err);

	if (r < 0)
		return r;
	k = p->given;
	p->given = p->collected;
	p->collected = k;
	p->given_of = p->given.decoded;
	pthread_mutex_lock(&p->mutex);
	if (!p->started) {
		os_signals_hold(&before);
		p->started = pthread_create(&p->thread, NULL, work, p) == 0;
		os_signals_back(&before);
	}
	p->busy = p->started;
	pthread_cond_signal(&p->changed);
	pthread_mutex_unlock(&p->mutex);
	return p->started ? 0 : write_packet(p, &p->given, err);
}

void packing_free(struct packing *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->mutex);
	p->closing = true;
	pthread_cond_signal(&p->changed);
	pthread_mutex_unlock(&p->mutex);
	if (p->started)
		pthread_join(p->thread, NULL);
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->mutex);
	packet_free(&p->collected);
	packet_free(&p->given);
	free(p);
}

int packing_add(struct packing *p, struct block_writer *w,
		struct store_error *err)
{
	int r = 0;

	if (block_writer_end(w) < 0 ||
	    buf_append_slice(&p->collected.blocks, buf_slice(&w->bytes)) < 0)
		r = store_nomem(err);
	p->last = (struct part){ .decoded = (uint32_t)w->bytes.len };
	p->collected.decoded += w->bytes.len;
	block_writer_clear(w);
	return r;
}

int packing_move(struct packing *p, const struct sst_block *b,
		 struct store_error *err)
{
	p->last = (struct part){ .decoded = b->decoded,
				 .packed = true,
				 .codec = b->codec };
	p->collected.decoded += b->decoded;
	return buf_append_slice(&p->collected.blocks, b->payload) < 0
		       ? store_nomem(err)
		       : 0;
}

int packing_name(struct packing *p, struct slice separator,
		 struct store_error *err)
{
	struct packet *k = &p->collected;

	if (buf_append_slice(&k->names, separator) < 0)
		return store_nomem(err);
	p->last.block_end = (uint32_t)k->blocks.len;
	p->last.name_end = (uint32_t)k->names.len;
	if (buf_append(&k->parts, &p->last, sizeof(p->last)) < 0)
		return store_nomem(err);
	return k->blocks.len < PACKET_BYTES ? 0 : give(p, err);
}

int packing_end(struct packing *p, struct store_error *err)
{
	int r = p ? await(p, err) : 0;

	/* The rest is less than a packet, and nobody would be beside it. */
	if (p && r == 0)
		r = write_packet(p, &p->collected, err);
	packing_free(p);
	return r;
}

uint64_t packing_bytes(const struct packing *p)
{
	uint64_t more = p->given_of + p->collected.decoded;

	if (p->written_of)
		more = (uint64_t)((double)more * (double)p->written /
				  (double)p->written_of);
	return p->written + more;
}
