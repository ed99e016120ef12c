/*
 * lock.h - the bytes of LOCK: who may write without locking its byte.
 *
 * Byte ranges of LOCK are the locks of a store (lib/lock.h); what lies in the
 * file is one word, shared through a map by those who write again and again.
 * Living memory like STATE, but believed by nobody who has not asked the
 * kernel: formats/lock.md.
 */
#ifndef FORMATS_LOCK_H
#define FORMATS_LOCK_H

#include <stdint.h>

#define LOCK_BYTES 64u /* of the file; 0 as long as nobody was a tenant */

#define LOCK_TENANT_OFF 0u  /* u32: the tenant; 0: nobody */
#define LOCK_LAST_ID_OFF 4u /* u32: the id given last */

/* The tenant's word. */
#define TENANT_BUSY 1u	 /* he holds WRITE */
#define TENANT_WANTED 2u /* and somebody waits for it */
#define TENANT_ID_SHIFT 2
#define TENANT_ID_MAX ((UINT32_C(1) << 30) - 1)

/* Byte LOCK_TENANTS + id is locked as long as its tenant lives. */
#define LOCK_TENANTS (UINT64_C(1) << 31)

#endif
