/* SPDX-License-Identifier: GPL-2.0 */
/* A file that appears under its name when all of it is on the disk, and not at all if anything fails before. */
#ifndef DROSTECTL_NEWFILE_H
#define DROSTECTL_NEWFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

/** struct newfile_seen - what was at a name */
struct newfile_seen {
	bool there;		/* something was */
	struct stat st;		/* what */
};

/** struct newfile - a file that is being written */
struct newfile {
	int fd;			/* open for writing */
	const char *name;	/* where it shall appear */
	char *part;		/* the name that it has so far; NULL: none, so that nothing is left of it if the process dies */
};

/** newfile_look() - see what is at a name */
void newfile_look(struct newfile_seen *seen, const char *name);

/**
 * newfile_create() - create a file for a name, which it does not have yet
 * @f: filled in
 * @name: the name, valid as long as @f
 *
 * No two files that are written for one name at the same time meet.
 *
 * Return: 0, or -1 with errno set.
 */
int newfile_create(struct newfile *f, const char *name);

/** enum newfile_placed - what newfile_place() has done */
enum newfile_placed {
	NEWFILE_FAILED = -1,	/* the file has no name; errno is EEXIST if something else has it */
	NEWFILE_SAFE = 0,	/* the file and its name are on the disk */
	NEWFILE_UNSAFE = 1,	/* the file is on the disk and has its name, which a loss of power may take away; errno says why */
};

/** newfile_sync() - wait until all of a file is on the disk; 0, or -1 with errno set */
int newfile_sync(const struct newfile *f);

/**
 * newfile_place() - give a file its name
 * @f: the file, which is on the disk; its name must not be a directory's
 * @seen: what may be replaced; anything else that has the name now stays there. If the file gets the name, it is what was seen.
 */
enum newfile_placed newfile_place(struct newfile *f, struct newfile_seen *seen);

/** newfile_close() - close a file; if it has not got its name, nothing is left of it */
void newfile_close(struct newfile *f);

#endif
