#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs in L0: tests QEMU on Droste (or on kvm_intel) with many machines, one after the other. Prints TAP.
# The arguments name groups of cases, which are functions below.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
cd /lab || exit 1
[ -e /dev/droste ] && ln -sf droste /dev/kvm
trap '' PIPE	# a command to a QEMU that has ended must not end this script; the case fails by its output
count=0
limit=300
plain="-nodefaults -no-user-config -display none -no-reboot -accel kvm"
debug_exit="-device isa-debug-exit,iobase=0xf4,iosize=1"
counter="-m 32 -kernel pc.elf -append count -device edu $debug_exit"
linux_words="console=ttyS0 no_timer_check cryptomgr.notests mitigations=off loglevel=4 initcall_blacklist=jent_mod_init"

result() { # status, name
	count=$((count + 1))
	if [ "$1" = 0 ]; then echo "ok $count - $2"; else echo "not ok $count - $2"; fi
}

# A group without cases, to be named first: QEMU uses the device by its own name, which it can from version 9.0 on.
by_device() {
	rm /dev/kvm
	plain=$plain,device=/dev/droste
}

# Runs QEMU without default devices. Its output and that of the guest go to /tmp/out.
qemu() {
	# shellcheck disable=SC2086 # several words
	timeout $limit qemu-dir/qemu $plain -serial stdio "$@" < /dev/null > /tmp/out 2>&1
}

# Copies QEMU's warnings about missing features to the log, each line once.
said() {
	tr -d '\r' < /tmp/out | grep '^qemu' | grep -v 'SMP cpus requested\|hotpluggable cpus' | sed 's/^/# /' | head -12
}

shown() { # status: prints the output if the case failed
	[ "$1" = 0 ] || tail -40 /tmp/out | sed 's/^/# /'
}

# Runs the guest of pc.c: the case's name, the output that is expected, QEMU's further arguments.
pc() {
	name=$1 words=$2
	shift 2
	# shellcheck disable=SC2086 # several words
	qemu -m 32 -kernel pc.elf -device edu $debug_exit "$@"
	status=$?
	# pc.c ends with code 42, and QEMU exits with 2 * 42 + 1.
	[ $status = 85 ] && grep -q "$words" /tmp/out
	bad=$?
	said
	shown $bad
	result $bad "$name"
}

# Runs a Linux guest with a disk, a network and a random number device.
linux() {
	name=$1
	shift
	dd if=vmlinuz of=/tmp/disk bs=4096 count=128 2> /dev/null
	mkdir -p /tmp/tftp
	[ -e /tmp/tftp/sent ] || dd if=vmlinuz of=/tmp/tftp/sent bs=100000 count=3 2> /dev/null
	qemu -m 256 -kernel vmlinuz -initrd linux.cpio "$@" \
		-append "$linux_words" \
		-drive file=/tmp/disk,format=raw,if=none,id=d -device virtio-blk-pci,drive=d \
		-netdev user,id=n,tftp=/tmp/tftp -device virtio-net-pci,netdev=n,romfile= -device virtio-rng-pci
	status=$?
	bad=0
	for words in "good: virtio-blk" "good: virtio-net" "good: virtio-rng" "guest: powering off" \
			"guest: got $(sha256sum < /tmp/tftp/sent)"; do
		grep -q "$words" /tmp/out || bad=1
	done
	grep -q BAD /tmp/out && bad=1
	[ $status = 0 ] || bad=1
	said
	shown $bad
	result $bad "$name: boots, virtio-blk, virtio-net, virtio-rng, powers off"
	# On the host, the disk must now contain its first part twice.
	dd if=vmlinuz of=/tmp/want bs=4096 count=64 2> /dev/null
	dd if=/tmp/disk of=/tmp/have bs=4096 skip=64 count=64 2> /dev/null
	cmp /tmp/want /tmp/have > /dev/null 2>&1
	result $? "$name: what the guest wrote is on the host's disk"
}

pcs() {
	for machine in pc q35; do
		for chip in on split; do
			pc "QEMU -M $machine, kernel-irqchip=$chip, 1 vCPU" "pc: processors 1" \
				-M $machine,kernel-irqchip=$chip -cpu host -smp 1
			pc "QEMU -M $machine, kernel-irqchip=$chip, 4 vCPUs" "pc: processors 4" \
				-M $machine,kernel-irqchip=$chip -cpu host -smp 4
		done
	done
	pc "QEMU -cpu host shows VMX" "^pc: VMX" -M q35 -cpu host
	pc "QEMU -cpu host,-vmx hides it" "^pc: no VMX" -M q35 -cpu host,-vmx
	pc "QEMU -cpu qemu64" "QEMU Virtual CPU" -M pc -cpu qemu64
	pc "QEMU -cpu Nehalem" "i7 9xx (Nehalem" -M pc -cpu Nehalem
	pc "QEMU -cpu Haswell" "Intel Core Processor (Haswell" -M q35 -cpu Haswell
	pc "QEMU -cpu Skylake-Client" "Intel Core Processor (Skylake" -M q35 -cpu Skylake-Client
	pc "QEMU -cpu max" "pc: booted" -M q35 -cpu max
}

linuxes() {
	linux "Linux, -M pc, kernel-irqchip=on, 1 vCPU" -M pc,kernel-irqchip=on -cpu host -smp 1
	linux "Linux, -M q35, kernel-irqchip=split, 4 vCPUs, -cpu Skylake-Client" \
		-M q35,kernel-irqchip=split -cpu Skylake-Client -smp 4
}

# Tests QEMU's gdb stub with rsp.c as the debugger. symbols.sh has the addresses in pc.elf.
gdb() {
	. ./symbols.sh
	ip link set lo up
	# shellcheck disable=SC2086 # several words
	qemu -m 32 -M q35 -cpu host -smp 2 -kernel pc.elf -device edu $debug_exit -gdb tcp:127.0.0.1:1234 -S &
	timeout $limit ./rsp 1234 "$main" "$say" "$aps_running" > /tmp/rsp 2>&1
	status=$?
	sed 's/^/# /' /tmp/rsp
	result $status "QEMU's debugger: breakpoints of both kinds, a watchpoint, single steps"
	wait $!
	[ $? = 85 ] || grep -q "pc: all well" /tmp/out
	bad=$?
	shown $bad
	result $bad "QEMU's debugger: the guest goes on undisturbed"
}

# --- saving and migrating: a guest that counts on its serial port, and QEMU's monitor on two pipes ---

# Starts QEMU in the background, with its serial port in file $1 and a monitor.
start() {
	serial=$1
	shift
	rm -f /tmp/mon.in /tmp/mon.out
	: > "$serial"
	mkfifo /tmp/mon.in /tmp/mon.out
	cat /tmp/mon.out > /tmp/monitor &
	# shellcheck disable=SC2086 # several words
	timeout $limit qemu-dir/qemu $plain -serial "file:$serial" -monitor pipe:/tmp/mon "$@" < /dev/null > /tmp/out 2>&1 &
	machine=$!
	exec 9> /tmp/mon.in
}

tell() {
	echo "$*" >&9
}

finish() {
	tell quit
	exec 9>&-
	wait $machine
	{
		echo "QEMU ended with $?"
		tr '\r' '\n' < /tmp/monitor | grep -v '.\[[DK]'
		tail -5 "$serial"
		grep "TSC went" "$serial"
	} >> /tmp/out
}

# Prints the guest's numbers, without an incomplete last one.
counts() {
	tr -d '\r' < "$1" | sed '$d' | sed -n 's/^count //p'
}

# Waits until the last number in file $1 is at least $2. Fails if QEMU ends before. A machine that was saved while
# it was stopped is also stopped when it is restored, and is continued here.
await() {
	until [ "$(counts "$1" | tail -1)" -ge "$2" ] 2> /dev/null; do
		kill -0 $machine 2> /dev/null || return 1
		[ "$ready" = true ] || tell cont
		usleep 50000
	done
}

# Called before a machine is saved.
ready=true

# Stops the machine while an L2 runs. QEMU shows EIP, not RIP, in 32-bit code, which L2 has and L1 does not.
stop_in_l2() {
	asked=0
	while [ $asked -lt 100 ]; do
		asked=$((asked + 1))
		before=$(grep -c '^EIP=' /tmp/monitor)
		tell stop
		tell info registers -a
		tell info status
		until [ "$(grep -c '^VM status: paused' /tmp/monitor)" -ge $asked ]; do
			kill -0 $machine 2> /dev/null || return 1
			usleep 10000
		done
		running=$(($(grep -c '^EIP=' /tmp/monitor) - before))
		[ $running -gt 0 ] && echo "# stopped with $running vCPUs in L2, at the $asked. time" && return
		tell cont
	done
	return 1
}

# Each number must follow the one before. A restored machine may go back once, to a number that it had reached.
runs() { # file, how many times it may go back
	counts "$1" | awk -v back="$2" 'NR > 1 && $1 != last + 1 { jumps++; if ($1 > last) wrong = 1 } { last = $1 }
		END { exit wrong || jumps != back || NR < 2 }' && ! grep -q BAD "$1"
}

# How often migrates() moves the machine.
hops=1

migrates() { # name, QEMU's arguments
	name=$1 from=/tmp/before to=/tmp/after hop=0 bad=0
	shift
	start $from "$@"
	await $from 5
	result $? "$name: counts before it migrates"
	while [ $hop -lt $hops ] && [ $bad = 0 ]; do
		hop=$((hop + 1))
		$ready || result 1 "$name: stopped for saving"
		tell 'migrate "exec:cat > /tmp/state"'
		# The monitor takes the next command when the state is written and the machine is stopped.
		finish
		last=$(counts $from | tail -1)
		start $to "$@" -incoming "exec:cat /tmp/state"
		await $to $((last + 5)) && runs $to 0 &&
			first=$(counts $to | head -1) && [ "$first" -gt "$last" ] && [ "$first" -le $((last + 2)) ]
		bad=$?
		echo "# counted to $last before, from $first after; the state has $(wc -c < /tmp/state) bytes"
		next=$from from=$to to=$next
	done
	finish
	grep "TSC went" $from | sed 's/^/# /'
	shown $bad
	result $bad "$name: goes on counting where it was, in another QEMU"
	rm -f /tmp/state
}

saves() { # name, QEMU's arguments
	name=$1
	shift
	cp snap.qcow2 /tmp/snap.qcow2
	start /tmp/before "$@" -drive file=/tmp/snap.qcow2,if=none,id=snap -device virtio-blk-pci,drive=snap
	await /tmp/before 5
	$ready || result 1 "$name: stopped for saving"
	tell savevm one
	saved=$(counts /tmp/before | tail -1)
	await /tmp/before $((saved + 7))
	tell loadvm one
	# Restores the state, and goes on.
	until runs /tmp/before 1 && await /tmp/before $((saved + 10)); do
		kill -0 $machine 2> /dev/null || break
		usleep 50000
	done
	runs /tmp/before 1
	bad=$?
	finish
	grep "TSC went" /tmp/before | sed 's/^/# /'
	echo "# counted: $(counts /tmp/before | tr '\n' ' ' | cut -c 1-200)"
	shown $bad
	result $bad "$name: savevm, and loadvm back to it"
	start /tmp/after "$@" -drive file=/tmp/snap.qcow2,if=none,id=snap -device virtio-blk-pci,drive=snap -loadvm one
	await /tmp/after $((saved + 5)) && runs /tmp/after 0 && [ "$(counts /tmp/after | head -1)" -ge "$saved" ]
	bad=$?
	finish
	shown $bad
	result $bad "$name: goes on from the snapshot in another QEMU"
}

# With VMX and without. QEMU saves VMX only where nested state can be saved.
states() {
	# shellcheck disable=SC2086 # several words
	{
	migrates "migration, -M pc, kernel-irqchip=on, 1 vCPU with VMX" -M pc,kernel-irqchip=on -cpu host $counter
	migrates "migration, -M q35, kernel-irqchip=split, 2 vCPUs" -M q35,kernel-irqchip=split -cpu host,-vmx -smp 2 $counter
	saves "savevm, -M q35, kernel-irqchip=on, 2 vCPUs" -M q35,kernel-irqchip=on -cpu host,-vmx -smp 2 $counter
	}
}

linuxstate() {
	dd if=vmlinuz of=/tmp/disk bs=4096 count=128 2> /dev/null
	migrates "migration of Linux, -M q35, 2 vCPUs" -M q35 -cpu host,-vmx -smp 2 -m 192 -kernel vmlinuz -initrd linux.cpio \
		-append "$linux_words count" -drive file=/tmp/disk,format=raw,if=none,id=d -device virtio-blk-pci,drive=d \
		-device virtio-rng-pci
}

# --- nesting: an L1 with Debian's kvm_intel runs this script with the same QEMU, so that the guests above are L2s ---

# Makes L1's initramfs of the files in L0.
l1_image() {
	[ -e /tmp/l1.cpio ] && return
	cp l1.cpio /tmp/l1.cpio
	(cd / && find lab/qemu-dir lab/run.sh lab/pc.elf lab/vmlinuz lab/linux.cpio | cpio -o -H newc) >> /tmp/l1.cpio
}

# Copies the results of the groups that L1 ran.
inner_results() {
	tr -d '\r' < /tmp/out | grep '^# ' | head -60
	tr -d '\r' < /tmp/out | sed -n 's/^not ok [0-9]* - /1 /p; s/^ok [0-9]* - /0 /p' > /tmp/results
	while read -r status name; do
		result "$status" "in L1: $name"
	done < /tmp/results
}

# The group that L1 runs in "nested".
inner() {
	pc "QEMU -M q35, kernel-irqchip=on, 2 vCPUs, as L2" "pc: processors 2" -M q35 -cpu host -smp 2
	linux "Linux as L2" -M q35 -cpu host -smp 1
}

nested() {
	l1_image
	qemu -M q35 -cpu host -smp 2 -m 640 -kernel vmlinuz -initrd /tmp/l1.cpio -append "$linux_words tsc=reliable groups=inner"
	status=$?
	grep -q "^1\.\.3" /tmp/out && [ $status = 0 ]
	bad=$?
	inner_results
	shown $bad
	result $bad "an L1 under QEMU runs QEMU, and powers off"
}

# The group that L1 runs in "nestedstate". L2's numbers go to L1's console. The second vCPU is always busy in L2.
counting() {
	# shellcheck disable=SC2086 # several words
	qemu-dir/qemu $plain -serial stdio -M q35 -cpu host -smp 2 $counter < /dev/null
}

nestedstate() {
	l1_image
	ready=stop_in_l2
	l1="-M q35 -cpu host -smp 2 -m 384 -kernel vmlinuz -initrd /tmp/l1.cpio"
	# shellcheck disable=SC2086 # several words
	{
	migrates "migration of an L1 while its L2 runs" $l1 -append "$linux_words tsc=reliable groups=counting"
	saves "savevm of an L1 while its L2 runs" $l1 -append "$linux_words tsc=reliable groups=counting"
	}
	ready=true
}

# The same, moved again and again.
nestedchain() {
	l1_image
	ready=stop_in_l2 hops=4
	# shellcheck disable=SC2086 # several words
	migrates "an L1 that migrates $hops times while its L2 runs" -M q35 -cpu host -smp 2 -m 384 -kernel vmlinuz -initrd /tmp/l1.cpio \
		-append "$linux_words tsc=reliable groups=counting"
	ready=true hops=1
}

for group in "$@"; do
	"$group"
done
echo "1..$count"
