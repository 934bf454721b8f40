#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs in L0, which has not loaded Droste: the probe on the machine itself, or if kvm_intel is loaded in a guest of it; then in
# a guest of Droste that has the machine's profile, and in what that guest runs; or with the second word qemu in a guest of
# QEMU on Droste. "== NAME" begins the lines of each.
# Usage: run.sh CPUS [qemu | clock] ; those of the machine, and of Droste's guest. clock: the profile hides what exits cost.
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
if [ "$2" = qemu ]; then
	ln -sf droste /dev/kvm
	echo "== QEMU"
	# The values are those of the lab's machine; docs/stealth.md has a real one's.
	timeout 600 qemu-dir/qemu -accel kvm -M q35,x-oem-id="BOCHS ",x-oem-table-id="BXPC    " -cpu host,-hypervisor,kvm=off \
		-smp "$cpus",cores="$cpus" -m 1024 -nodefaults -no-user-config -display none -no-reboot -serial stdio -vga std \
		-smbios type=0,vendor="The Bochs Project",version="Bochs 2.7",date=29/12/2019,release=1.0 \
		-smbios type=1,manufacturer=,product= -device ich9-ahci,id=ahci -netdev user,id=n \
		-device e1000e,netdev=n,mac=a4:bb:6d:12:34:56,romfile= \
		-kernel vmlinuz -initrd l2.cpio -append "$append console=ttyS0" < /dev/null
	status=$?
	echo "== end"
	rmmod droste
	exit $status
fi
echo "== profile"
./drostectl profile capture > profile 2> lacks || exit 1
[ "$2" = clock ] && echo "clock 1000000" >> profile
cat profile lacks
echo "== L1"
./drostectl run --profile profile --quiet --kernel vmlinuz --initrd l1.cpio --cpus "$cpus" --memory 1024 --append "$append"
status=$?
echo "== end"
rmmod droste
exit $status
