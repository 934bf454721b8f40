#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs in L0: measures the rows of L1, and boots an L1 Linux that measures the others. bench.conf says which (machine.py).
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
. ./bench.conf
status=0
[ -z "$profile" ] || awk '$4 == "[droste]" { print "sym", $1, $3 }' /proc/kallsyms

# The emulator writes its profile at the last marker.
end() {
	[ -z "$profile" ] || ./op mark last
	exit $status
}

[ -z "$tick_l0" ] || ./op tick "$ticks" "$tick_l0"
if [ -n "$micro_l1" ]; then
	# shellcheck disable=SC2086 # the options are several words
	DROSTE_DEVICE=$device ./micro --level l1:1 --only "$micro_l1" $options_l1 || status=1
fi
[ "$linux_l1" = yes ] || end
[ -z "$boot_l1" ] || ./op mark "$boot_l1"
# Both hypervisors call themselves KVM, so that L1 uses the same paravirtual features.
./drostectl run --device "$device" --hypervisor kvm --kernel vmlinuz --initrd l1.cpio --cpus 1 --memory 1024 --append "$lean" || status=1
end
