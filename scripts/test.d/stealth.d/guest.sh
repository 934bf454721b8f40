#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# /init of L1 and of L2: runs the probe, or L2 if this initramfs has one, and powers off.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
modprobe msr
if [ ! -e /l2.cpio ]; then
	/probe
else
	echo "== L2"
	modprobe kvm_intel nested=1 enable_apicv=0 || echo "kvm_intel cannot be loaded"
	/drostectl run --device /dev/kvm --quiet --kernel /vmlinuz --initrd /l2.cpio --memory 256 --append "$(cat /proc/cmdline)"
fi
poweroff -f
