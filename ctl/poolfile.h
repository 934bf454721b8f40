/* SPDX-License-Identifier: GPL-2.0 */
/* Files that describe a processor, or what several have in common. */
#ifndef DROSTECTL_POOLFILE_H
#define DROSTECTL_POOLFILE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "cpu/pool_logic.h"

/** struct pool_file - a processor, and where its file says what */
struct pool_file {
	const char *name;
	struct droste_pool p;
	int cpuid_line[DROSTE_POOL_CPUID];	/* line of each entry of p.cpuid */
	int msr_line[DROSTE_POOL_MSRS];
	int list_line, tsc_line;		/* 0: the file has no such row */
};

/** struct pool_place - where the parser of a file is */
struct pool_place {
	struct pool_file *f;
	int line;
	char *rest;	/* what is left of the line */
};

/** struct pool_row - a kind of rows */
struct pool_row {
	const char *key;			/* the row's first word */
	int (*parse)(struct pool_place *at);	/* 0, or -1 after a message */
};

/** pool_wrong() - tell what is wrong with a line; returns -1 */
int pool_wrong(const struct pool_place *at, const char *why);

/** pool_wrong_word() - tell what is wrong with a word of a line; returns -1 */
int pool_wrong_word(const struct pool_place *at, const char *why, const char *word);

/** pool_next_word() - the next word of the line; NULL if there is none */
char *pool_next_word(struct pool_place *at);

/**
 * pool_number_word() - read the next word of the line as a number, hexadecimal with 0x, or decimal
 * @at: the place
 * @what: what it is, for a message
 * @max: the largest that is allowed
 * @val: filled in
 *
 * Return: 0, or -1 after a message.
 */
int pool_number_word(struct pool_place *at, const char *what, uint64_t max, uint64_t *val);

/** pool_line_ends() - 0 if the line has no more words, else -1 after a message */
int pool_line_ends(struct pool_place *at);

/**
 * pool_file_whole() - read a file into memory
 * @name: the file's name, "-" for standard input
 * @size: filled in
 *
 * Return: its contents with a zero byte behind them, for the caller to free; NULL after a message.
 */
char *pool_file_whole(const char *name, size_t *size);

/**
 * pool_file_read() - read a file
 * @f: filled in
 * @name: the file's name, "-" for standard input; must stay valid
 *
 * Return: 0, or -1 after a message that names line and reason.
 */
int pool_file_read(struct pool_file *f, const char *name);

/** pool_file_parse() - as pool_file_read(), for a file's contents, which it changes; a zero byte follows the @size bytes */
int pool_file_parse(struct pool_file *f, const char *name, char *data, size_t size);

/**
 * pool_file_parse_more() - as pool_file_parse(), for a file with another first line, and with more kinds of rows
 * @f: filled in
 * @name: the file's name
 * @data: its contents, which change; a zero byte follows them
 * @size: their size
 * @first_line: what the first line must be
 * @more: the other kinds of rows; @f is a member of what they fill in
 * @nr_more: how many
 *
 * Return: 0, or -1 after a message that names line and reason.
 */
int pool_file_parse_more(struct pool_file *f, const char *name, char *data, size_t size, const char *first_line,
			 const struct pool_row *more, size_t nr_more);

/** pool_file_line() - the line of what another processor lacks; 0 if there is none */
int pool_file_line(const struct pool_file *f, const struct pool_loss *loss);

/**
 * pool_file_contradicts() - whether rows of a file contradict each other
 * @f: the file
 *
 * Return: 0, or -1 after a message for each row that needs something that the others lack.
 */
int pool_file_contradicts(const struct pool_file *f);

/**
 * pool_file_write() - write a processor as a file
 * @out: where to
 * @p: the processor
 * @about: lines about where it is from, each with "# " before it; may be empty
 */
void pool_file_write(FILE *out, const struct droste_pool *p, const char *about);

/** pool_file_write_rows() - as pool_file_write(), without the first line */
void pool_file_write_rows(FILE *out, const struct droste_pool *p);

#endif
