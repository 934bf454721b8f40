// SPDX-License-Identifier: GPL-2.0
/* Writes a machine to a file. It stands still meanwhile. */
#include "movesave.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hold.h"
#include "machine.h"
#include "moveout.h"
#include "newfile.h"
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

static int put_file(struct moveout *o, struct newfile *f, const struct newfile_seen *seen)
{
	if (put_machine(o))
		return -1;
	if (!newfile_place(f, seen))
		return 0;
	if (errno == EEXIST)
		snprintf(o->s.why, sizeof(o->s.why), "somebody else has written %s since the guest started; remove it, and ask again",
			 f->name);
	else
		snprintf(o->s.why, sizeof(o->s.why), "writing %s failed: %s", f->name, strerror(errno));
	return -1;
}

void move_save_init(struct mover *mv)
{
	if (mv->o.save)
		newfile_look(&mv->seen, mv->o.save);
}

bool move_save(struct mover *mv)
{
	struct vm *vm = &mv->m->vm;
	struct newfile f;
	struct moveout o;
	int ret;

	if (newfile_create(&f, mv->o.save)) {
		say("the guest is not saved, and runs on: cannot create %s: %s", mv->o.save, strerror(errno));
		return false;
	}
	if (!hold_all(vm)) {
		newfile_close(&f);
		return true;
	}
	moveout_init(&o, mv->m, f.fd, mv->o.save);
	ret = put_file(&o, &f, &mv->seen);
	if (ret)
		say("the guest is not saved, and runs on: %s", o.s.why);
	else
		vm_end(vm, RUN_MOVED, 0, NULL, "the guest is saved in %s: %llu pages, %.1f MiB", mv->o.save,
		       (unsigned long long)o.pages, o.s.bytes / 1048576.0);
	newfile_close(&f);
	hold_release(vm);
	return !ret;
}
