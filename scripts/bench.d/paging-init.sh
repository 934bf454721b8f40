#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# /init of a guest of scripts/bench paging: runs the workloads. Words of the kernel command line: tag=N names the counts,
# divide=N makes the workloads that many times shorter.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t proc proc /proc
mount -t devtmpfs devtmpfs /dev
tag=0 divide=1
# shellcheck disable=SC2013 # words, not lines
for word in $(cat /proc/cmdline); do
	case $word in tag=*) tag=${word#tag=} ;; divide=*) divide=${word#divide=} ;; esac
done
/paging "$tag" "$divide" && echo "paging: tag $tag is done"
poweroff -f
