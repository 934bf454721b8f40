// SPDX-License-Identifier: GPL-2.0
/* Writes a machine to a file. It stands still meanwhile. */
#include "movesave.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hold.h"
#include "machine.h"
#include "moveout.h"
#include "say.h"

static int put_memory(struct moveout *o)
{
	uint64_t pages = moveout_all_pages(o->m);

	for (uint64_t p = 0; p < pages; p += MOVE_RUN)
		if (moveout_pages(o, p, pages - p < MOVE_RUN ? pages - p : MOVE_RUN))
			return -1;
	return 0;
}

static int put_machine(struct moveout *o)
{
	struct move_state state = { 0 };
	int ret = moveout_header(o, false) || moveout_state(o, &state) || put_memory(o) || move_state_put(&state, &o->s) ||
		  stream_put(&o->s, MOVE_END, 0, NULL, 0) ? -1 : 0;

	move_state_free(&state);
	moveout_sum(o, 0);
	return ret;
}

/* Replaces @name by a file that is whole. */
static int put_file(struct moveout *o, const char *part, const char *name)
{
	if (put_machine(o))
		return -1;
	if (!fsync(o->s.fd) && !rename(part, name))
		return 0;
	snprintf(o->s.why, sizeof(o->s.why), "writing %s failed: %s", name, strerror(errno));
	return -1;
}

bool move_save(struct mover *mv)
{
	struct vm *vm = &mv->m->vm;
	struct moveout o;
	char *part;
	int fd, ret;

	if (asprintf(&part, "%s.part", mv->o.save) < 0) {
		say("out of memory");
		return false;
	}
	/* What is left of an earlier try is not ours to write to: it may be a link. */
	unlink(part);
	fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		say("the guest is not saved, and runs on: cannot create %s: %s", part, strerror(errno));
		free(part);
		return false;
	}
	if (!hold_all(vm)) {
		unlink(part);
		close(fd);
		free(part);
		return true;
	}
	moveout_init(&o, mv->m, fd, part);
	ret = put_file(&o, part, mv->o.save);
	if (ret) {
		unlink(part);
		say("the guest is not saved, and runs on: %s", o.s.why);
	} else {
		vm_end(vm, RUN_MOVED, 0, NULL, "the guest is saved in %s: %llu pages, %.1f MiB", mv->o.save,
		       (unsigned long long)o.pages, o.s.bytes / 1048576.0);
	}
	hold_release(vm);
	close(fd);
	free(part);
	return !ret;
}
