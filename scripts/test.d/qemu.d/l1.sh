#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# /init of an L1 under QEMU: loads Debian's kvm_intel, and runs the groups of run.sh that "groups=A,B" on its command
# line names, with the same QEMU as in L0.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /tmp
modprobe kvm_intel
for word in $(cat /proc/cmdline); do
	case $word in groups=*) groups=$(echo "${word#groups=}" | tr , ' ') ;; esac
done
# shellcheck disable=SC2086 # several words
/lab/run.sh $groups
poweroff -f
