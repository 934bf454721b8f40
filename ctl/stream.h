/* SPDX-License-Identifier: GPL-2.0 */
/* Records with a number and a checksum, written to a file or socket and read from it. */
#ifndef DROSTECTL_STREAM_H
#define DROSTECTL_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "movefmt.h"

struct stream;

/** enum stream_step - what a stream asks its owner */
enum stream_step {
	STREAM_BEGINS,		/* a record is to be written or read */
	STREAM_READS,		/* nothing can be read now */
	STREAM_WRITES,		/* nothing can be written now */
};

#define STREAM_REST	(sizeof(struct move_head) + MOVE_MAX)

/** struct stream - one direction, or both of a socket */
struct stream {
	int fd;
	/* Waits, and says whether the stream goes on: 0, or -1 with why. NULL: the descriptor blocks. */
	int (*step)(struct stream *s, enum stream_step step);
	void *owner;		/* for step() */
	uint8_t *rest;		/* what is missing of the last record, of which a part was written; STREAM_REST bytes, or NULL */
	size_t rest_len;	/* bytes of it */
	bool strict;		/* a record of an unknown type is an error, also if it may be skipped */
	const char *name;	/* of the file or peer, for messages */
	uint32_t sent, got;	/* records so far */
	uint64_t bytes;		/* sent */
	bool lost;		/* after an error: reading failed, or the stream ended too early */
	long cut_after;		/* for tests: the process dies after this record, if it is not negative */
	char why[MOVE_TEXT];	/* after an error: what is wrong, one sentence without its end */
};

/** struct record - a record that was read */
struct record {
	uint32_t type, index, length;
	uint8_t *data;		/* valid until the next one is read */
};

/** enum stream_got - what stream_get() found */
enum stream_got {
	STREAM_BAD = -1,	/* no record; stream.why says what is wrong */
	STREAM_RECORD = 1,
	STREAM_OVER = 2,	/* the stream ends here, behind a whole record */
};

/** stream_init() - prepare a stream on an open file or socket, which stays the caller's */
void stream_init(struct stream *s, int fd, const char *name);

/** stream_begin() - write what a stream begins with; 0, or -1 with stream.why */
int stream_begin(struct stream *s);

/** stream_check() - read what a stream begins with; 0, or -1 with stream.why */
int stream_check(struct stream *s);

/**
 * stream_put() - write a record
 * @s: the stream
 * @type: enum move_type
 * @index: which vCPU or chip, else 0
 * @data: its bytes
 * @len: their number, at most MOVE_MAX
 *
 * Return: 0, or -1 with stream.why. If a part of the record was written, stream.rest has the other part.
 */
int stream_put(struct stream *s, uint32_t type, uint32_t index, const void *data, size_t len);

/** stream_flush() - write what is missing of the last record; 0, or -1 with stream.why */
int stream_flush(struct stream *s);

/** stream_text() - write a record that is a text */
int stream_text(struct stream *s, uint32_t type, const char *text);

/**
 * stream_get() - read a record
 * @s: the stream
 * @r: filled in; its memory is used again, and freed by record_free()
 *
 * Number, checksum, type, index and length are right then. Records of unknown types that may be skipped are, unless the stream
 * is strict.
 */
enum stream_got stream_get(struct stream *s, struct record *r);

/** record_text() - a record's text, of printable characters, or that there is none; valid as long as the record */
const char *record_text(struct record *r);

/** record_free() - free a record's memory */
void record_free(struct record *r);

/** move_name() - the name of a kind of records */
const char *move_name(uint32_t type);

#endif
