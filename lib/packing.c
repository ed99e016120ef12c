#include "lib/packing.h"

#include <pthread.h>

/* Blocks before compression that go to the thread at a time. */
#define PACKET_BYTES ((size_t)256 << 10)

struct packet {
	struct buf blocks; /* one behind the other, gaps between them */
	struct buf names;  /* their separators, likewise */
	struct buf parts;  /* struct part each */
	uint64_t decoded;  /* bytes that all blocks have */
};

/* A block, and where its separator ends. */
struct part {
	uint32_t off, len, name_end;
	uint32_t decoded;
	bool packed; /* with `codec` */
	uint8_t codec;
};

struct packing {
	struct tableout *out;
	struct places *places;
	struct packet collected, given;
	struct part last;      /* of the block that has no separator yet */
	struct packer packer;  /* the caller's */
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
	if (packer_init(&p->packer, o->packer.codec) < 0) {
		free(p);
		return store_nomem(err);
	}
	p->out = o;
	p->places = places;
	pthread_mutex_init(&p->mutex, NULL);
	pthread_cond_init(&p->changed, NULL);
	*out = p;
	return 0;
}

/* ---- the thread ---- */

static int write_block(struct packing *p, const struct packet *k,
		       const struct part *part, struct sst_place *place,
		       struct store_error *err)
{
	struct slice bytes = slice_make(k->blocks.data + part->off, part->len);
	struct sst_block b = { bytes, part->codec, part->decoded };

	return part->packed
		       ? tableout_move(p->out, &b, SST_DATA, place, err)
		       : tableout_block(p->out, bytes, SST_DATA, place, err);
}

static int write_packet(struct packing *p, const struct packet *k,
			struct store_error *err)
{
	const struct part *part = (const struct part *)(void *)k->parts.data;
	size_t n = k->parts.len / sizeof(*part);
	uint32_t name = 0;
	struct sst_place place;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; name = part[i++].name_end) {
		r = write_block(p, k, &part[i], &place, err);
		if (r == 0)
			r = places_add(p->places,
				       slice_make(k->names.data + name,
						  part[i].name_end - name),
				       place, err);
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

/*
 * Compress a collected block where it lies, the last of those that are not;
 * false when there is none.  What it becomes is the same whoever does it.
 */
static bool help(struct packing *p)
{
	struct packet *k = &p->collected;
	struct part *part = (struct part *)(void *)k->parts.data;
	size_t i = k->parts.len / sizeof(*part);
	struct slice packed;
	int codec;

	while (i > 0 && part[i - 1].packed)
		i--;
	if (i-- == 0)
		return false;
	codec = packer_pack(
		&p->packer,
		slice_make(k->blocks.data + part[i].off, part[i].len), &packed);
	if (codec < 0)
		return false;
	if (codec != CODEC_NONE)
		memcpy(k->blocks.data + part[i].off, packed.data, packed.len);
	part[i].len = (uint32_t)packed.len;
	part[i].codec = (uint8_t)codec;
	part[i].packed = true;
	return true;
}

static bool is_busy(struct packing *p)
{
	bool busy;

	pthread_mutex_lock(&p->mutex);
	busy = p->busy;
	pthread_mutex_unlock(&p->mutex);
	return busy;
}

/* Until the thread has nothing to do, beside it: 0, or its error. */
static int await(struct packing *p, struct store_error *err)
{
	int r;

	while (is_busy(p) && help(p))
		;
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
	packer_release(&p->packer);
	packet_free(&p->collected);
	packet_free(&p->given);
	free(p);
}

/* The next block: its bytes, and what they are of. */
static int take(struct packing *p, struct slice bytes, struct part part,
		struct store_error *err)
{
	struct packet *k = &p->collected;

	part.off = (uint32_t)k->blocks.len;
	part.len = (uint32_t)bytes.len;
	p->last = part;
	k->decoded += part.decoded;
	return buf_append_slice(&k->blocks, bytes) < 0 ? store_nomem(err) : 0;
}

int packing_add(struct packing *p, struct block_writer *w,
		struct store_error *err)
{
	int r = block_writer_end(w) < 0 ? store_nomem(err) : 0;

	if (r == 0)
		r = take(p, buf_slice(&w->bytes),
			 (struct part){ .decoded = (uint32_t)w->bytes.len },
			 err);
	block_writer_clear(w);
	return r;
}

int packing_move(struct packing *p, const struct sst_block *b,
		 struct store_error *err)
{
	return take(p, b->payload,
		    (struct part){ .decoded = b->decoded,
				   .packed = true,
				   .codec = b->codec },
		    err);
}

int packing_name(struct packing *p, struct slice separator,
		 struct store_error *err)
{
	struct packet *k = &p->collected;

	if (buf_append_slice(&k->names, separator) < 0)
		return store_nomem(err);
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
