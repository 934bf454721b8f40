#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs in L0, which has not loaded Droste: the probe on the machine itself, or if kvm_intel is loaded in a guest of it; then in
# a guest of Droste that has the machine's profile, and in what that guest runs. "== NAME" begins the lines of each.
# Usage: run.sh CPUS ; those of the machine, and of Droste's guest.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
cpus=$1
# Words that the kernel of the machine itself has, too; the others only make the boot short.
append="quiet loglevel=1 tsc=reliable tsc_early_khz=100000 no_timer_check nokaslr mitigations=off cryptomgr.notests init_on_alloc=0"
append="$append io_delay=none 8250.nr_uarts=4 initcall_blacklist=jent_mod_init,init_kprobe_trace"
if [ ! -e /dev/kvm ]; then
	echo "== bare"
	./probe || exit 1
else
	echo "== KVM"
	./drostectl run --device /dev/kvm --quiet --kernel vmlinuz --initrd l2.cpio --memory 256 --append "$append" || exit 1
	rmmod kvm_intel kvm || exit 1
fi
insmod ./droste.ko || exit 1
echo "== profile"
./drostectl profile capture > profile 2> lacks || exit 1
cat profile lacks
echo "== L1"
./drostectl run --profile profile --quiet --kernel vmlinuz --initrd l1.cpio --cpus "$cpus" --memory 1024 --append "$append"
status=$?
echo "== end"
rmmod droste
exit $status
