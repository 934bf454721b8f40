#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# /init of the benchmark's L1: measures the rows of L1's Linux, and those of L2 on its own kvm_intel, with and without EPT.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
. /bench.conf
[ -z "$boot_l1" ] || /op mark end
. /linux-rows
linux_rows "$tick_l1" "$fresh_l1" "$again_l1"

# Measures the rows of the small guest, and boots an L2 Linux: LEVEL ROWS OPTIONS LINUX TAG-OF-BOOT
level() {
	if [ -n "$2" ]; then
		# shellcheck disable=SC2086 # the options are several words
		DROSTE_DEVICE=/dev/kvm /micro --level "$1" --only "$2" $3
	fi
	[ "$4" = yes ] || return
	[ -z "$5" ] || /op mark "$5"
	/drostectl run --device /dev/kvm --kernel /vmlinuz --initrd "/$6" --cpus 1 --memory 256 --append "$lean"
}

modprobe kvm_intel
level l2:2 "$micro_l2" "$options_l2" "$linux_l2" "$boot_l2" l2.cpio
if [ -n "$micro_l2_noept$boot_l2_noept" ]; then
	rmmod kvm_intel && modprobe kvm_intel ept=0
	level l2-noept:3 "$micro_l2_noept" "$options_l2_noept" "$linux_l2_noept" "$boot_l2_noept" l2-noept.cpio
fi
poweroff -f
