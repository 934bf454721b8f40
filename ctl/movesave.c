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

static void set_ended(struct stream *s)
{
	snprintf(s->why, sizeof(s->why), "the run ended before its file was complete");
}

/* Asked at each record: a run that has ended is not written to its end. */
static int goes_on(struct stream *s, enum stream_step step)
{
	(void)step;
	if (!vm_ended(s->owner))
		return 0;
	set_ended(s);
	return -1;
}

static enum newfile_placed not_written(struct moveout *o, const char *name)
{
	if (errno == EEXIST)
		snprintf(o->s.why, sizeof(o->s.why), "somebody else has written %s since the guest started; remove it, and ask again",
			 name);
	else
		snprintf(o->s.why, sizeof(o->s.why), "writing %s failed: %s", name, strerror(errno));
	return NEWFILE_FAILED;
}

/* Writes all of the file, and gives it its name. From then on it does not matter any more whether the run ends. */
static enum newfile_placed put_file(struct moveout *o, struct newfile *f, struct newfile_seen *seen)
{
	enum newfile_placed placed;

	if (put_machine(o))
		return NEWFILE_FAILED;
	if (newfile_sync(f))
		return not_written(o, f->name);
	if (goes_on(&o->s, STREAM_BEGINS))
		return NEWFILE_FAILED;
	placed = newfile_place(f, seen);
	if (placed == NEWFILE_FAILED)
		return not_written(o, f->name);
	if (placed == NEWFILE_UNSAFE)
		snprintf(o->s.why, sizeof(o->s.why),
			 "%s is complete, but may be gone after a loss of power, as its directory cannot be written: %s", f->name,
			 strerror(errno));
	return placed;
}

void move_save_init(struct mover *mv)
{
	if (mv->o.save)
		newfile_look(&mv->seen, mv->o.save);
}

bool move_save(struct mover *mv)
{
	struct vm *vm = &mv->m->vm;
	enum newfile_placed placed = NEWFILE_FAILED;
	struct newfile f;
	struct moveout o;

	if (newfile_create(&f, mv->o.save)) {
		say("the guest is not saved, and runs on: cannot create %s: %s", mv->o.save, strerror(errno));
		return false;
	}
	moveout_init(&o, mv->m, f.fd, mv->o.save);
	o.s.step = goes_on;
	o.s.owner = vm;
	if (hold_all(vm))
		placed = put_file(&o, &f, &mv->seen);
	else
		set_ended(&o.s);
	if (placed == NEWFILE_SAFE)
		vm_end_saved(vm, "the guest is saved in %s: %llu pages, %.1f MiB", mv->o.save, (unsigned long long)o.pages,
			     o.s.bytes / 1048576.0);
	else
		say("the guest is not saved%s%s: %s", placed == NEWFILE_UNSAFE ? " safely" : "", vm_ended(vm) ? "" : ", and runs on",
		    o.s.why);
	newfile_close(&f);
	hold_release(vm);
	return placed == NEWFILE_SAFE;
}
