#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# /init of an L1 Linux: measures the rows of ports in an L2 of its kvm_intel, and then in one of its own Droste.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
. /ports.conf
modprobe kvm_intel
# shellcheck disable=SC2086 # the options are several words
DROSTE_DEVICE=/dev/kvm /micro --level l2-kvm:2 --only "$only" $options_l2
rmmod kvm_intel
insmod /droste.ko
# shellcheck disable=SC2086 # the options are several words
/micro --level l2-droste:3 --only "$only" $options_l2
poweroff -f
