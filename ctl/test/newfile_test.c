// SPDX-License-Identifier: GPL-2.0
/* Checks that files appear when all of them is on the disk, that none is lost, and that nothing is left of those that fail. */
#include "newfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tap.h"

static char dir[32], name[64];
static bool named;		/* the file system has no files without names */
static int fails;		/* errno of the fsync() of directories, or 0 */
static bool fails_file;		/* that of files fails */
static bool appears;		/* another file gets the name as soon as somebody has seen that nothing has */
static enum newfile_placed placed;	/* of the last file */
static struct newfile_seen mine;	/* what may be replaced behind it */
static char order[64];		/* what was synced: f and d for a file and a directory; f or d behind it if the name is there */

/* The test's own, in place of the library's. */
int open(const char *path, int flags, ...)
{
	mode_t mode;
	va_list ap;

	va_start(ap, flags);
	mode = va_arg(ap, mode_t);
	va_end(ap);
	errno = EOPNOTSUPP;
	return named && (flags & O_TMPFILE) == O_TMPFILE ? -1 : syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int lstat(const char *path, struct stat *st)
{
	int ret = syscall(SYS_newfstatat, AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW), err = errno, fd;

	if (ret && appears) {
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
		if (fd < 0 || write(fd, "theirs", 6) != 6)
			abort();
		close(fd);
	}
	errno = err;
	return ret;
}

int fsync(int fd)
{
	struct stat st;
	bool is_dir = !fstat(fd, &st) && S_ISDIR(st.st_mode);

	strcat(order, is_dir ? "d" : "f");
	strcat(order, access(name, F_OK) ? "-" : "+");
	errno = is_dir ? fails : EIO;
	return (is_dir ? fails : fails_file) ? -1 : syscall(SYS_fsync, fd);
}

static void put(struct newfile *f, const char *text)
{
	order[0] = 0;
	if (newfile_create(f, name) || write(f->fd, text, strlen(text)) < 0)
		abort();
}

/* Writes a file to its end. Returns errno. */
static int make(const char *text, const struct newfile_seen *seen)
{
	struct newfile f;
	int ret;

	put(&f, text);
	mine = *seen;
	placed = newfile_sync(&f) ? NEWFILE_FAILED : newfile_place(&f, &mine);
	ret = placed == NEWFILE_SAFE ? 0 : errno;
	newfile_close(&f);
	return ret;
}

static bool has(const char *text)
{
	char buf[64] = "";
	int fd = open(name, O_RDONLY);

	if (fd < 0)
		return !text;
	if (read(fd, buf, sizeof(buf) - 1) < 0)
		abort();
	close(fd);
	return text && !strcmp(buf, text);
}

/* How many files are in the directory. */
static int files(void)
{
	DIR *d = opendir(dir);
	int n = 0;

	for (struct dirent *e; (e = readdir(d));)
		n += *e->d_name != '.';
	closedir(d);
	return n;
}

static void check(void)
{
	struct newfile_seen none = { .there = false }, seen, other;
	struct newfile a, b;
	char link_to[80];

	/* A new one, and one in place of what was there. */
	newfile_look(&seen, name);
	ok(!seen.there && make("one", &seen) == 0 && has("one") && files() == 1);
	ok(!strcmp(order, "f-d+"));
	newfile_look(&seen, name);
	ok(seen.there && make("two", &seen) == 0 && has("two") && files() == 1);
	ok(!strcmp(order, "f+d+"));
	/* What somebody else has put there stays. */
	ok(make("three", &seen) == EEXIST && has("two") && files() == 1);
	ok(make("three", &none) == EEXIST && has("two") && files() == 1);
	ok(!strcmp(order, "f+"));
	newfile_look(&other, dir);
	ok(make("three", &other) == EEXIST && has("two") && files() == 1);
	/* If it is gone, the name is free. */
	unlink(name);
	ok(make("four", &seen) == 0 && has("four"));
	/* Two at the same time: the first wins, and neither is mixed with the other. */
	newfile_look(&seen, name);
	other = seen;
	put(&a, "first");
	put(&b, "the second");
	ok(has("four"));
	ok(!newfile_place(&a, &seen));
	ok(newfile_place(&b, &other) == NEWFILE_FAILED && errno == EEXIST);
	newfile_close(&b);
	newfile_close(&a);
	ok(has("first") && files() == 1);
	unlink(name);
	put(&a, "first");
	put(&b, "the second");
	other = none;
	ok(!newfile_place(&b, &other));
	ok(newfile_place(&a, &none) == NEWFILE_FAILED && errno == EEXIST);
	newfile_close(&a);
	newfile_close(&b);
	ok(has("the second") && files() == 1);
	unlink(name);
	appears = true;
	ok(make("mine", &none) == EEXIST && has("theirs") && files() == 1);
	appears = false;
	/* One that is given up. */
	put(&a, "never");
	newfile_close(&a);
	ok(has("theirs") && files() == 1);
	/* A link is replaced, and not followed. */
	unlink(name);
	snprintf(link_to, sizeof(link_to), "%s/nowhere", dir);
	ok(!symlink(link_to, name));
	newfile_look(&seen, name);
	ok(make("five", &seen) == 0 && has("five") && files() == 1);
	/* A disk that fails. The file that is whole stays, and may be replaced by the next one. */
	newfile_look(&seen, name);
	fails = EIO;
	ok(make("six", &seen) == EIO && placed == NEWFILE_UNSAFE && has("six") && files() == 1);
	ok(make("seven", &mine) == EIO && placed == NEWFILE_UNSAFE && has("seven") && files() == 1);
	fails = 0;
	ok(make("eight", &mine) == 0 && placed == NEWFILE_SAFE && has("eight") && files() == 1);
	unlink(name);
	fails = EINVAL;
	ok(make("nine", &none) == 0 && has("nine"));
	fails = 0;
	unlink(name);
	fails_file = true;
	ok(make("ten", &none) == EIO && placed == NEWFILE_FAILED && has(NULL) && files() == 0);
	fails_file = false;
}

int main(void)
{
	struct newfile f;

	ok(newfile_create(&f, "/nonexistent/file") == -1 && errno == ENOENT);
	strcpy(dir, "/tmp/newfile_test.XXXXXX");
	if (!mkdtemp(dir) || chdir(dir))
		return 1;
	snprintf(name, sizeof(name), "%s/file", dir);
	check();
	named = true;
	check();
	strcpy(name, "file");
	check();
	named = false;
	check();
	if (chdir("/"))
		return 1;
	ok(!rmdir(dir));
	return tap_done();
}
