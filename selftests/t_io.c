// SPDX-License-Identifier: GPL-2.0
/* DROSTE_PASS_PORTS: ports that L1 and L2 access without an exit, and those that they do not. */
/*
 * The ports are registers of the lab's DMA controller that nothing uses: they read as they were written. Ports that nothing
 * has read as all ones.
 */
#define _GNU_SOURCE
#include "portio.h"
#include "save.h"

#define TURNS	400

/* An OUT and an IN reach the host's port, which user space of the host sees. */
static void host_port(struct machine *m)
{
	u32 i;

	for (i = 0; i < 3; i++) {
		GUEST(&m->vm, access_data) = 0x31 + i;
		WAY(m, OUT, STORE + i, 1, DIRECT);
		EQ(inb(STORE + i), 0x31 + i, "the host's port");
		outb(STORE + i, 0x41 + i);
		WAY(m, IN, STORE + i, 1, DIRECT);
		EQ(GUEST(&m->vm, access_data), 0x41 + i, "what the guest reads");
	}
}

/* The controls are chosen anew for other reasons, and the port stays passed. */
static void other_controls(struct machine *m)
{
	struct kvm_sregs sregs;

	DO(m->vcpu->fd, KVM_GET_SREGS, &sregs);
	DO(m->vcpu->fd, KVM_SET_SREGS, &sregs);
	WAY(m, IN, STORE, 1, DIRECT);
	if (!(vm_forceable(&m->vm) & DROSTE_FORCE_RDTSC))
		return;
	EQ(vm_force_exits(&m->vm, DROSTE_FORCE_RDTSC), 0, "force exits by RDTSC");
	WAY(m, IN, STORE, 1, DIRECT);
	EQ(vm_force_exits(&m->vm, 0), 0, "force no exits");
	WAY(m, IN, STORE, 1, DIRECT);
}

/* Ports at the ends of the bitmaps, and accesses to several ports. */
static void edges(struct machine *m)
{
	static const struct {
		u16 port;
		u8 size;
		enum way way;
	} rows[] = {
		{ STORE, 2, DIRECT }, { STORE - 1, 2, USER }, { STORE + 2, 2, USER }, { STORE - 3, 4, USER },
		{ STORE, 4, USER }, { STORE - 1, 1, USER }, { STORE + 3, 1, USER },
		{ 0xffff, 1, DIRECT }, { 0xfffe, 2, USER }, { 0xfffd, 2, USER }, { 0xfffc, 4, USER },
		{ 0xffff, 2, USER }, { 0xffff, 4, USER }, { 0xfffd, 4, USER },
		{ 0x7fff, 1, DIRECT }, { 0x8000, 1, DIRECT }, { 0x7fff, 2, DIRECT }, { 0x7ffe, 2, USER }, { 0x8000, 2, USER },
		{ 0x7ffe, 4, USER }, { 0x9000, 4, DIRECT }, { 0x9000, 2, DIRECT }, { 0x8ffd, 4, USER }, { 0x9003, 2, USER },
		{ 0x903c, 4, DIRECT }, { 0x903e, 4, DIRECT }, { 0x903f, 2, DIRECT },
	};
	u32 i;

	pass(m, STORE, 3, true);
	pass(m, 0xffff, 1, true);
	pass(m, 0, 4, true);		/* an access that wraps around exits nevertheless */
	pass(m, 0x7fff, 2, true);
	pass(m, 0x9000, 4, true);
	pass(m, 0x9030, 0x20, true);
	host_port(m);
	other_controls(m);
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		WAY(m, IN, rows[i].port, rows[i].size, rows[i].way);
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].port >= 0x7000)
			WAY(m, OUT, rows[i].port, rows[i].size, rows[i].way);
	pass(m, STORE + 1, 1, false);
	WAY(m, IN, STORE, 2, USER);
	WAY(m, IN, STORE, 1, DIRECT);
	WAY(m, IN, STORE + 1, 1, USER);
	WAY(m, IN, STORE + 2, 1, DIRECT);
	pass(m, 0, 0x10000, false);
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		WAY(m, IN, rows[i].port, rows[i].size, USER);
	pass(m, STORE, 3, true);
	host_port(m);
}

static void host_edges(void)
{
	struct machine m;

	create(&m, false);
	WAY(&m, IN, STORE, 1, USER);
	edges(&m);
}

static void host_edges_l2(void)
{
	struct machine m;

	create(&m, true);
	WAY(&m, IN, STORE, 1, USER);
	edges(&m);
	/* The same with bitmaps of L1 that forbid nothing. */
	pass(&m, 0, 0x10000, false);
	GUEST(&m.vm, l1_proc) = PROC_IO_BITMAPS;
	WAY(&m, IN, STORE, 1, USER);
	pass(&m, STORE, 3, true);
	host_port(&m);
	pass(&m, 0x7fff, 2, true);
	pass(&m, 0x9030, 0x20, true);
	WAY(&m, IN, 0x7fff, 2, DIRECT);
	WAY(&m, IN, 0x7ffe, 2, USER);
	WAY(&m, IN, 0x8000, 2, USER);
	WAY(&m, IN, 0x903e, 4, DIRECT);
	WAY(&m, IN, STORE, 4, USER);
	pass(&m, 0x9030, 0x20, false);
	WAY(&m, IN, 0x903e, 4, USER);
	WAY(&m, IN, STORE, 1, DIRECT);
	/* With bitmaps of L1, an access that wraps around is L1's. */
	pass(&m, 0, 4, true);
	pass(&m, 0xfffe, 2, true);
	WAY(&m, IN, 0xffff, 2, TO_L1);
	WAY(&m, IN, 0xfffe, 2, DIRECT);
	pass(&m, 0, 0x10000, false);
	WAY(&m, IN, 0xffff, 2, TO_L1);
	WAY(&m, IN, STORE, 1, USER);
}

/* --- INS and OUTS --- */

static void strings(struct machine *m)
{
	u32 i;

	pass(m, STORE, 3, true);
	for (i = 0; i < STRING_LEN; i++)
		GUEST(&m->vm, string)[i] = 0x60 + i;
	WAY(m, OUTS, STORE, 1, DIRECT);
	EQ(inb(STORE), 0x60, "OUTSB wrote the host's port");
	WAY(m, REP_OUTS, STORE, 1, DIRECT);
	EQ(inb(STORE), 0x60 + STRING_LEN - 1, "the last byte of REP OUTSB");
	outb(STORE + 1, 0x77);
	WAY(m, INS, STORE + 1, 1, DIRECT);
	EQ(GUEST(&m->vm, string)[0], 0x77, "INSB");
	EQ(GUEST(&m->vm, string)[1], 0x61, "one byte");
	WAY(m, REP_INS, STORE + 1, 1, DIRECT);
	for (i = 0; i < STRING_LEN; i++)
		EQ(GUEST(&m->vm, string)[i], 0x77, "REP INSB, byte %u", i);
	EQ(GUEST(&m->vm, string)[STRING_LEN], 0, "no more than that");
	WAY(m, OUTS, STORE + 3, 1, USER);
}

static void host_strings(void)
{
	struct machine m;

	create(&m, false);
	strings(&m);
}

static void host_strings_l2(void)
{
	struct machine m;

	create(&m, true);
	strings(&m);
	GUEST(&m.vm, l1_proc) = PROC_IO_BITMAPS;
	memset(GUEST(&m.vm, string), 0, STRING_LEN + 1);
	strings(&m);
	GUEST(&m.vm, l1_bitmaps)[STORE / 8] = 1 << STORE % 8;
	outb(STORE, 1);
	WAY(&m, OUTS, STORE, 1, TO_L1);
	WAY(&m, REP_OUTS, STORE, 1, TO_L1);
	EQ(inb(STORE), 1, "the host's port was not written");
}

/* The operand in memory is a device: the emulator executes the instruction, after an exit for the port, and on the host's port. */
static void devices(struct machine *m)
{
	u8 written = 0;

	pass(m, STORE, 3, true);
	outb(STORE, 0);
	EQ(run_device(m, OUTS, 0x45, NULL), 1, "exits for the port");
	EQ(inb(STORE), 0x45, "OUTSB from a device");
	WAY(m, OUTS, STORE, 1, DIRECT);
	outb(STORE, 0x46);
	EQ(run_device(m, INS, 0, &written), 1, "exits for the port");
	EQ(written, 0x46, "INSB to a device");
	WAY(m, IN, STORE, 1, DIRECT);
	EQ(GUEST(&m->vm, access_data), 0x46, "IN");
}

static void host_devices(void)
{
	struct machine m;

	create(&m, false);
	devices(&m);
}

static void host_devices_l2(void)
{
	struct machine m;

	create(&m, true);
	devices(&m);
	GUEST(&m.vm, l1_proc) = PROC_IO_BITMAPS;
	devices(&m);
}

/* --- who decides at L2 --- */

static void host_matrix(void)
{
	static const u64 procs[] = { 0, PROC_IO, PROC_IO_BITMAPS, PROC_IO_BITMAPS | PROC_IO };
	struct machine m;
	u32 i, l0, l1, turn;

	create(&m, true);
	for (turn = 0; turn < 2; turn++) {
		for (l0 = 0; l0 < 2; l0++) {
			pass(&m, STORE, 3, l0);
			for (i = 0; i < ARRAY_SIZE(procs) * 2; i++) {
				u64 proc = procs[i / 2];
				enum way want = l0 ? DIRECT : USER;

				l1 = i & 1;
				if (proc & PROC_IO_BITMAPS ? l1 : !!(proc & PROC_IO))
					want = TO_L1;
				GUEST(&m.vm, l1_proc) = proc;
				GUEST(&m.vm, l1_bitmaps)[STORE / 8] = l1 << STORE % 8;
				WAY(&m, OUT, STORE, 1, want);
				WAY(&m, IN, STORE, 1, want);
			}
		}
	}
	/* Only the bit of the last port is set in L1's bitmap; then only that of L0. */
	GUEST(&m.vm, l1_proc) = PROC_IO_BITMAPS;
	GUEST(&m.vm, l1_bitmaps)[STORE / 8] = 1 << (STORE + 1) % 8;
	WAY(&m, IN, STORE, 1, DIRECT);
	WAY(&m, IN, STORE, 2, TO_L1);
	GUEST(&m.vm, l1_bitmaps)[STORE / 8] = 0;
	pass(&m, STORE + 1, 1, false);
	WAY(&m, IN, STORE, 2, USER);
	/* A bitmap without memory reads as all ones. */
	pass(&m, STORE + 1, 1, true);
	WAY(&m, IN, STORE, 2, DIRECT);
	GUEST(&m.vm, l1_hole) = 1;
	WAY(&m, IN, STORE, 2, TO_L1);
	GUEST(&m.vm, l1_hole) = 0;
	WAY(&m, IN, STORE, 2, DIRECT);
}

/* L1 changes its bitmaps between two entries that are repetitions, and nothing else exits. */
static volatile u64 wrong, denied;

static void guest_repeated(void)
{
	u64 i, want, reason;

	access_kind = IN;
	access_port = STORE;
	access_size = 1;
	l1_begin(l2_accesses);
	vmset(F_PROC, PROC_IO_BITMAPS);
	for (i = 0; i < TURNS; i++) {
		if (i == TURNS / 2)
			vmwrite(F_IO_BITMAP_A, vmread(F_IO_BITMAP_A));	/* the general way once more */
		if (i == 8)
			g_sync(0);
		want = (i * 7 >> 2) & 1;
		l1_bitmaps[STORE / 8] = want << STORE % 8;
		denied += i >= 8 && want;
		reason = vmx_run();
		wrong += reason != (want ? R_IO : R_VMCALL);
		vmx_skip();
		if (reason == R_IO) {
			reason = vmx_run();
			wrong += reason != R_VMCALL;
			vmx_skip();
		}
	}
	g_sync(0);
	g_done();
}

static void host_repeated(void)
{
	struct droste_exit_stats before, after;
	struct machine m;

	create_at(&m, true, guest_repeated);
	pass(&m, STORE, 1, true);
	vcpu_run_to_sync(m.vcpu, 0);
	before = stats(&m);
	vcpu_run_to_sync(m.vcpu, 0);
	after = stats(&m);
	EQ(GUEST(&m.vm, wrong), 0, "exits that L1's bitmap does not explain");
	OK(GUEST(&m.vm, denied) > TURNS / 4, "L1 denied some");
	EQ(after.from_l2[EXIT_IO] - before.from_l2[EXIT_IO], GUEST(&m.vm, denied), "exits for ports");
	EQ(after.reflected[EXIT_IO] - before.reflected[EXIT_IO], GUEST(&m.vm, denied), "all of them L1's");
	vcpu_run_to_end(m.vcpu);
}

/* --- another vCPU of L1 changes the bitmaps while L2 runs --- */

static volatile u64 flips, flip_stop, flip_checked;

/* @flips is odd while the bitmap changes; otherwise bit 1 tells what is in it. */
static void guest_flipper(void)
{
	u64 i, bit = 0;

	while (!flip_stop) {
		flips++;
		bit ^= 1;
		*(volatile u8 *)&l1_bitmaps[STORE / 8] = bit << STORE % 8;
		flips++;
		/* Longer than a turn of L2 takes. */
		for (i = 0; i < 30000; i++)
			asm volatile("");
	}
	g_done();
}

static void guest_flipped(void)
{
	u64 i, before, reason;

	access_kind = IN;
	access_port = STORE;
	access_size = 1;
	l1_begin(l2_accesses);
	vmset(F_PROC, PROC_IO_BITMAPS);
	for (i = 0; i < TURNS * 10; i++) {
		before = flips;
		reason = vmx_run();
		vmx_skip();
		if (!(before & 1) && flips == before) {
			flip_checked++;
			wrong += reason != (before & 2 ? R_IO : R_VMCALL);
		}
		if (reason == R_IO) {
			reason = vmx_run();
			vmx_skip();
		}
		/* In L2, the access may have exited once more. */
		while (reason == R_IO) {
			reason = vmx_run();
			vmx_skip();
		}
		wrong += reason != R_VMCALL;
	}
	flip_stop = 1;
	g_done();
}

static void host_flipped(void)
{
	struct machine m;
	struct vcpu *other;
	pthread_t thread;

	create_at(&m, true, guest_flipped);
	pass(&m, STORE, 1, true);
	other = vcpu_create(&m.vm, 1, guest_flipper);
	vcpu_thread(other, &thread);
	vcpu_run_to_end(m.vcpu);
	pthread_join(thread, NULL);
	EQ(GUEST(&m.vm, wrong), 0, "exits that L1's bitmap does not explain");
	OK(GUEST(&m.vm, flip_checked) > TURNS / 4, "%llu of the accesses were checked", (long long)GUEST(&m.vm, flip_checked));
	OK(GUEST(&m.vm, flips) > 4, "the bitmap changed %llu times", (long long)GUEST(&m.vm, flips) / 2);
}

/* --- changes while the guest runs --- */

static volatile u64 writes;
static volatile u64 write_stop;

static void guest_writes(void)
{
	while (!write_stop) {
		outb(STORE, writes);
		writes++;
	}
	g_done();
}

static void l2_writes(void)
{
	while (!write_stop) {
		outb(STORE, writes);
		writes++;
	}
	asm volatile("vmcall");
}

static void guest_l2_writes(void)
{
	l1_begin(l2_writes);
	vmset(F_PROC, l1_proc);
	vmx_expect(R_VMCALL, "end");
	g_done();
}

static volatile u64 user_exits;

static void *count_exits(void *arg)
{
	struct vcpu *vcpu = arg;
	u64 call;

	while ((call = vcpu_run_to_call(vcpu, NULL)) == GCALL_NONE) {
		MUST(vcpu->run->exit_reason == KVM_EXIT_IO && vcpu->run->io.port == STORE, "exit %u", vcpu->run->exit_reason);
		user_exits++;
	}
	EQ(call, GCALL_DONE, "call");
	return NULL;
}

/* Waits until a counter has grown. */
static void grows(volatile u64 *counter, u64 by, const char *what)
{
	u64 was = *counter, i;

	for (i = 0; i < 50000 && *counter - was < by; i++)
		usleep(100);
	OK(*counter - was >= by, "%s: %llu", what, (long long)(*counter - was));
}

static void while_running(bool nested, u64 proc)
{
	struct machine m;
	volatile u64 *done;
	pthread_t thread;
	u64 i, n, exits;

	create_at(&m, nested, nested ? guest_l2_writes : guest_writes);
	GUEST(&m.vm, l1_proc) = proc;
	done = &GUEST(&m.vm, writes);
	user_exits = 0;
	MUST(!pthread_create(&thread, NULL, count_exits, m.vcpu), "thread");
	for (i = 0; i < 10; i++) {
		grows(&user_exits, 3, "exits while the port is not passed");
		outb(STORE, 0xaa);
		n = user_exits;
		grows(&user_exits, 3, "more exits");
		EQ(inb(STORE), 0xaa, "the host's port is not written");
		pass(&m, STORE, 1, true);
		exits = user_exits;
		grows(done, 1000, "writes while the port is passed");
		OK(user_exits - exits <= 1, "%llu exits since it is passed", (long long)(user_exits - exits));
		pass(&m, STORE, 1, false);
		/* From here on no guest writes to the port. */
		outb(STORE, 0xbb);
		n = *done;
		exits = user_exits;
		grows(&user_exits, 5, "exits since it is passed no more");
		OK(*done - n <= user_exits - exits + 1, "each write has exited: %llu, %llu", (long long)(*done - n),
		   (long long)(user_exits - exits));
		EQ(inb(STORE), 0xbb, "the host's port is written no more");
	}
	GUEST(&m.vm, write_stop) = 1;
	pthread_join(thread, NULL);
}

static void host_running(void)
{
	while_running(false, 0);
}

static void host_running_l2(void)
{
	while_running(true, 0);
}

static void host_running_l2_bitmaps(void)
{
	while_running(true, PROC_IO_BITMAPS);
}

/* --- a change while a barrier keeps L2 out --- */

static void guest_wbinvd(void)
{
	for (;;)
		asm volatile("wbinvd" : : : "memory");
}

/* KVM_RUN, which must end at a barrier. Returns its number. */
static u64 run_to_barrier(struct vcpu *vcpu)
{
	struct droste_barrier_exit e;

	EQ(vcpu_run_once(vcpu), 0, "KVM_RUN");
	MUST(vcpu->run->exit_reason == DROSTE_EXIT_BARRIER, "exit %u", vcpu->run->exit_reason);
	memcpy(&e, vcpu->run->padding, sizeof(e));
	return e.seq;
}

/*
 * The vCPU has handled its other requests when it meets the barrier, and goes on from there. What it knew of the ports then
 * is freed meanwhile: KASAN tells if it is used.
 */
static void host_barrier(void)
{
	struct droste_barrier exits = { .flags = DROSTE_BARRIER_EXITS };
	volatile u64 *done;
	struct machine m;
	struct vcpu *other;
	pthread_t thread;
	u64 seq, was;

	/* Not create_at(): the debug kernel has no ioperm(), and the host's port is not looked at. */
	vm_create(&m.vm, 0);
	if (!vm_has_vmx(&m.vm))
		ksft_skip("no VMX");
	m.vcpu = vcpu_create(&m.vm, 0, guest_l2_writes);
	done = &GUEST(&m.vm, writes);
	other = vcpu_create(&m.vm, 1, guest_wbinvd);
	if (ioctl(m.vm.fd, DROSTE_SET_BARRIER, &exits))
		ksft_skip("barriers: %s", strerror(errno));
	pass(&m, STORE, 1, true);
	MUST(!pthread_create(&thread, NULL, count_exits, m.vcpu), "thread");
	for (int i = 0; i < 4; i++) {
		pass(&m, STORE + 1, 1, true);
		grows(done, 10, "writes");
		seq = run_to_barrier(other);
		was = *done;
		pass(&m, STORE + 1, 1, false);
		usleep(1000);
		EQ(*done, was, "L2 waits");
		DO(m.vm.fd, DROSTE_RELEASE_BARRIER, &seq);
		grows(done, 10, "writes after the barrier");
	}
	GUEST(&m.vm, write_stop) = 1;
	pthread_join(thread, NULL);
	EQ(user_exits, 0, "exits");
}

/* --- privileges and arguments --- */

static void host_arguments(void)
{
	static const struct {
		u32 first, count, on;
		int err;
	} rows[] = {
		{ 0, 0, 1, EINVAL }, { 0, 0, 0, EINVAL }, { 0x10000, 1, 1, EINVAL }, { 0x10000, 0, 1, EINVAL },
		{ 0xffff, 2, 1, EINVAL }, { 0, 0x10001, 1, EINVAL }, { 1, 0xffffffff, 1, EINVAL }, { 0xffffffff, 1, 1, EINVAL },
		{ 0xffffffff, 2, 1, EINVAL }, { 0x80000000, 0x80000000, 0, EINVAL }, { STORE, 1, 2, EINVAL },
		{ STORE, 1, 0xffffffff, EINVAL }, { 0, 0x10000, 1, 0 }, { 0, 0x10000, 0, 0 }, { 0xffff, 1, 1, 0 },
		{ 0xffff, 1, 0, 0 }, { STORE, 3, 0, 0 },
	};
	struct machine m;
	u32 i;

	create(&m, false);
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		EQ(pass_errno(&m.vm, rows[i].first, rows[i].count, rows[i].on), rows[i].err, "row %u", i);
	for (i = 0; i < ARRAY_SIZE(((struct droste_pass_ports *)NULL)->reserved); i++) {
		struct droste_pass_ports p = { .first = STORE, .count = 1, .on = 1 };

		p.reserved[i] = 1u << 31;
		FAILS(m.vm.fd, DROSTE_PASS_PORTS, &p, EINVAL);
	}
	FAILS(m.vm.fd, DROSTE_PASS_PORTS, NULL, EFAULT);
	WAY(&m, IN, STORE, 1, USER);
}

/* Without the capability, a port can be taken away, but not be passed. */
static void host_capability(void)
{
	struct machine m;

	create(&m, false);
	pass(&m, STORE, 3, true);
	drop_capability(CAP_SYS_RAWIO);
	EQ(pass_errno(&m.vm, STORE, 3, 1), EPERM, "errno");
	EQ(pass_errno(&m.vm, 0, 0, 1), EINVAL, "errno of a bad range");
	WAY(&m, IN, STORE, 2, DIRECT);
	EQ(pass_errno(&m.vm, STORE + 1, 1, 0), 0, "errno");
	WAY(&m, IN, STORE, 2, USER);
	WAY(&m, IN, STORE, 1, DIRECT);
}

/* IOPL and the bitmap in the TSS count as ever. */
static u64 user_out(u64 port)
{
	u64 f;

	asm volatile(TRY("outb %%al, %%dx") "mov %%r11, %0" : "=r" (f) : "d" ((u16)port), "a" (0) : "r11", "memory", "cc");
	return f;
}

static void guest_user(void)
{
	G_EQ(g_user(user_out, STORE), GP0, "OUT at CPL 3");
	G_EQ(user_out(STORE), NO_FAULT, "OUT at CPL 0");
	g_done();
}

static void host_user(void)
{
	struct machine m;

	create(&m, false);
	pass(&m, STORE, 1, true);
	vcpu_start(m.vcpu, guest_user, 0);
	vcpu_run_to_end(m.vcpu);
}

/* --- state --- */

/* A vCPU that is made after the call, and one that was there before. */
static void host_vcpus(void)
{
	struct machine m;

	create(&m, false);
	pass(&m, STORE, 3, true);
	WAY(&m, IN, STORE, 1, DIRECT);
	m.vcpu = vcpu_create(&m.vm, 1, guest_l1);
	vcpu_run_to_sync(m.vcpu, 0);
	WAY(&m, IN, STORE, 1, DIRECT);
	pass(&m, STORE, 3, false);
	WAY(&m, IN, STORE, 1, USER);
	m.vcpu = &m.vm.vcpu[0];
	WAY(&m, IN, STORE, 1, USER);
}

/* L2's state is saved in the middle of an access that exited, and goes to a new vCPU, with other ports passed there. */
static void host_saved(void)
{
	static struct saved_vcpu saved;
	struct machine m;
	u32 i;

	for (i = 0; i < 4; i++) {
		u64 args[4];
		bool l0 = i & 1, l1 = i & 2;

		create(&m, true);
		GUEST(&m.vm, l1_proc) = PROC_IO_BITMAPS;
		pass(&m, STORE, 1, !l0);
		WAY(&m, IN, STORE, 1, l0 ? USER : DIRECT);
		GUEST(&m.vm, access_kind) = IN;
		GUEST(&m.vm, access_port) = STORE + 1;
		EQ(vcpu_run_to_call(m.vcpu, args), GCALL_NONE, "exit");
		EQ(m.vcpu->run->io.port, STORE + 1, "port");
		vcpu_finish_exit(m.vcpu);
		vcpu_save(m.vcpu, &saved);
		OK(saved.nested.s.flags & KVM_STATE_NESTED_GUEST_MODE, "L2 runs");
		vm_replace(&m.vm);
		m.vcpu = vcpu_create(&m.vm, 0, guest_l2);
		pass(&m, STORE, 1, l0);
		vcpu_restore(m.vcpu, &saved, i & 1 ? ORDER_QEMU : ORDER_SELFTESTS);
		GUEST(&m.vm, l1_bitmaps)[STORE / 8] = l1 << STORE % 8;
		vcpu_run_to_sync(m.vcpu, 0);
		WAY(&m, IN, STORE, 1, l1 ? TO_L1 : l0 ? DIRECT : USER);
		GUEST(&m.vm, l1_bitmaps)[STORE / 8] = 0;
		WAY(&m, IN, STORE, 1, l0 ? DIRECT : USER);
		vm_destroy(&m.vm);
	}
}

/* What drostectl vmcs shows: the control in the VMCSs, and no address of the kernel. */
static void host_look(void)
{
	struct machine m;
	u64 args[4], proc12;
	int fd;

	create(&m, true);
	fd = inspect_mine(&m.vm);
	MUST(!get_vmcs(fd, DROSTE_VMCS01), "VMCS01");
	EQ(value(F_PROC) & (PROC_IO_BITMAPS | PROC_IO), PROC_IO, "controls of VMCS01, no port is passed");
	pass(&m, STORE, 1, true);
	GUEST(&m.vm, l1_proc) = PROC_IO_BITMAPS;
	WAY(&m, IN, STORE, 1, DIRECT);
	MUST(!get_vmcs(fd, DROSTE_VMCS01), "VMCS01");
	EQ(value(F_PROC) & PROC_IO_BITMAPS, PROC_IO_BITMAPS, "controls of VMCS01");
	GUEST(&m.vm, access_port) = STORE + 1;
	EQ(vcpu_run_to_call(m.vcpu, args), GCALL_NONE, "exit");
	MUST(!get_vmcs(fd, DROSTE_VMCS12), "VMCS12");
	proc12 = value(F_PROC);
	EQ(proc12 & (PROC_IO_BITMAPS | PROC_IO), PROC_IO_BITMAPS, "controls of VMCS12");
	EQ(value(F_IO_BITMAP_A), (uintptr_t)l1_bitmaps, "I/O bitmap A of VMCS12");
	MUST(!get_vmcs(fd, DROSTE_VMCS02), "VMCS02");
	EQ(value(F_PROC) & PROC_IO_BITMAPS, PROC_IO_BITMAPS, "controls of VMCS02");
	OK(vmcs_merged[1] & PROC_IO_BITMAPS, "L0's controls, of which VMCS02 was merged");
	OK(value(F_IO_BITMAP_A) != (uintptr_t)l1_bitmaps, "VMCS02 has a bitmap of L0");
	EQ(value(F_IO_BITMAP_A) & 4095, 0, "its address");
	EQ(value(F_IO_BITMAP_B), value(F_IO_BITMAP_A) + 4096, "that of bitmap B");
}

static const struct ksft_test tests[] = {
	{ "edges of the bitmaps", host_edges },
	{ "edges of the bitmaps at L2", host_edges_l2 },
	{ "INS and OUTS", host_strings },
	{ "INS and OUTS at L2", host_strings_l2 },
	{ "INS and OUTS with a device in memory", host_devices },
	{ "INS and OUTS with a device in memory at L2", host_devices_l2 },
	{ "L0's and L1's part", host_matrix },
	{ "L1 changes its bitmaps between repeated entries", host_repeated },
	{ "L1 changes its bitmaps on another vCPU", host_flipped },
	{ "changes while L1 runs", host_running },
	{ "changes while L2 runs", host_running_l2 },
	{ "changes while L2 with bitmaps runs", host_running_l2_bitmaps },
	{ "changes while a barrier keeps L2 out", host_barrier },
	{ "arguments", host_arguments },
	{ "capability", host_capability },
	{ "CPL 3", host_user },
	{ "new vCPUs", host_vcpus },
	{ "saved state", host_saved },
	{ "looking at the VMCSs", host_look },
};
KSFT_MAIN(tests)
