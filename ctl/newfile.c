// SPDX-License-Identifier: GPL-2.0
/* Writes a file that appears under its name when all of it is on the disk. */
#include "newfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#define TRIES	100	/* names that are tried before one is found that is free */

/* --- names --- */

void newfile_look(struct newfile_seen *seen, const char *name)
{
	seen->there = !lstat(name, &seen->st);
}

static bool same(const struct newfile_seen *a, const struct newfile_seen *b)
{
	return a->there && b->there && a->st.st_dev == b->st.st_dev && a->st.st_ino == b->st.st_ino &&
	       a->st.st_size == b->st.st_size && a->st.st_mtim.tv_sec == b->st.st_mtim.tv_sec &&
	       a->st.st_mtim.tv_nsec == b->st.st_mtim.tv_nsec;
}

/* The directory of a name. The caller frees it; NULL without memory. */
static char *directory(const char *name)
{
	const char *slash = strrchr(name, '/');

	return !slash ? strdup(".") : slash == name ? strdup("/") : strndup(name, slash - name);
}

/* Calls @take with names beside that of the file until one is free. @take returns 0 or more, or -1 with errno. */
static int take_free_name(struct newfile *f, int (*take)(const struct newfile *f))
{
	int ret = -1;

	for (int i = 0; i < TRIES && ret < 0; i++) {
		uint32_t number = 0;

		if (getrandom(&number, sizeof(number), 0) != sizeof(number) || asprintf(&f->part, "%s.part-%08x", f->name, number) < 0) {
			f->part = NULL;
			return -1;
		}
		ret = take(f);
		if (ret >= 0)
			break;
		free(f->part);
		f->part = NULL;
		if (errno != EEXIST)
			break;
	}
	return ret;
}

/* --- creating --- */

static int create_part(const struct newfile *f)
{
	return open(f->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
}

/* A file without a name, which can get one only where /proc is. */
static int create_nameless(const char *name)
{
	char *dir = directory(name);
	int fd = dir && !access("/proc/self/fd", X_OK) ? open(dir, O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600) : -1;

	free(dir);
	return fd;
}

int newfile_create(struct newfile *f, const char *name)
{
	*f = (struct newfile) { .name = name };
	f->fd = create_nameless(name);
	if (f->fd < 0)
		f->fd = take_free_name(f, create_part);
	return f->fd < 0 ? -1 : 0;
}

/* --- the name --- */

static int link_as(const struct newfile *f, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", f->fd);
	return linkat(AT_FDCWD, path, AT_FDCWD, name, AT_SYMLINK_FOLLOW);
}

static int link_part(const struct newfile *f)
{
	return link_as(f, f->part);
}

static void has_name(struct newfile *f)
{
	free(f->part);
	f->part = NULL;
}

/* Takes a name that nothing has. */
static int take_name(struct newfile *f)
{
	int ret;

	if (!f->part)
		return link_as(f, f->name);
	ret = renameat2(AT_FDCWD, f->part, AT_FDCWD, f->name, RENAME_NOREPLACE);
	/* Not all file systems have that. */
	if (ret && errno == EINVAL)
		ret = rename(f->part, f->name);
	if (!ret)
		has_name(f);
	return ret;
}

/* Whoever else replaces the file at the same moment has it locked, or has already done so. A link has no lock. */
static int lock_old(const char *name, const struct newfile_seen *seen)
{
	int fd = open(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct newfile_seen now;

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK) {
		close(fd);
		fd = -1;
		now.there = false;
	} else {
		newfile_look(&now, name);
	}
	if (same(&now, seen))
		return fd;
	if (fd >= 0)
		close(fd);
	errno = EEXIST;
	return -2;
}

static int replace(struct newfile *f, const struct newfile_seen *seen)
{
	int lock = lock_old(f->name, seen), ret = -1;

	if (lock == -2)
		return -1;
	if (f->part || !take_free_name(f, link_part))
		ret = rename(f->part, f->name);
	if (!ret)
		has_name(f);
	if (lock >= 0) {
		int err = errno;

		close(lock);
		errno = err;
	}
	return ret;
}

/* Not every directory that one can write to can be read. */
static int sync_directory(const struct newfile *f)
{
	char *dir = directory(f->name);
	int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int ret, err;

	free(dir);
	if (fd < 0)
		return syncfs(f->fd);
	ret = fsync(fd);
	err = errno;
	close(fd);
	errno = err;
	/* Some file systems know no such call for directories. */
	return ret && err != EINVAL ? -1 : 0;
}

int newfile_sync(const struct newfile *f)
{
	return fsync(f->fd);
}

enum newfile_placed newfile_place(struct newfile *f, struct newfile_seen *seen)
{
	struct newfile_seen now;

	newfile_look(&now, f->name);
	if (now.there ? replace(f, seen) : take_name(f))
		return NEWFILE_FAILED;
	seen->there = !fstat(f->fd, &seen->st);
	/* What had the name before is gone: the file that is whole stays in its place, whether the directory can be written or not. */
	return sync_directory(f) ? NEWFILE_UNSAFE : NEWFILE_SAFE;
}

void newfile_close(struct newfile *f)
{
	if (f->part)
		unlink(f->part);
	has_name(f);
	close(f->fd);
}
