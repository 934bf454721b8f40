#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs in L0: Debian's libvirt on Droste as /dev/kvm, on two hosts that are namespaces. Defines, starts, saves, restores
# and migrates the L1 of nest.c, whose L2 writes. Prints TAP.
# The arguments name groups of cases, which are functions below: life, moves, variants.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
cd /lab || exit 1
count=0
limit=300	# seconds for one command of virsh

result() { # status, name
	count=$((count + 1))
	if [ "$1" = 0 ]; then echo "ok $count - $2"; else echo "not ok $count - $2"; fi
}

# --- hosts: each has mounts, a name, a network and the directories that libvirt writes to ---

# Makes the directories of a host. Runs in its namespaces.
furnish() { # host, number
	root=/hosts/$1
	mkdir -p "$root"
	mount --bind /lab/root "$root"
	for directory in etc run var tmp root bin; do
		mount -t tmpfs none "$root/$directory"
	done
	for directory in dev proc sys shared; do
		mount --rbind "/$directory" "$root/$directory"
	done
	cp /bin/busybox "$root/bin/"
	ln -s busybox "$root/bin/sh"
	# libvirt looks its usual user up even if it is to use another one.
	printf 'root:x:0:0:root:/root:/bin/sh\nlibvirt-qemu:x:64055:64055::/:/bin/false\n' > "$root/etc/passwd"
	printf 'root:x:0:\nkvm:x:64055:\nlibvirt-qemu:x:64055:\n' > "$root/etc/group"
	mkdir -p "$root/etc/libvirt" "$root/run/libvirt" "$root/var/lib/libvirt" "$root/var/cache/libvirt" \
		"$root/var/log/libvirt"
	# What libvirt learns of a QEMU takes it long on an emulated machine, and both hosts have the same.
	mount --bind /shared/cache "$root/var/cache/libvirt"
	ln -s ../run "$root/var/run"
	hostname "$1"
	echo "$1" > "$root/etc/hostname"
	printf '127.0.0.1 localhost\n10.0.0.1 alpha\n10.0.0.2 beta\n' > "$root/etc/hosts"
	echo "hosts: files" > "$root/etc/nsswitch.conf"
	echo "${2}${2}${2}${2}${2}${2}${2}${2}aaaabbbbccccddddeeeeffff" > "$root/etc/machine-id"
	cat > "$root/etc/libvirt/libvirtd.conf" <<-X
		auth_unix_rw = "none"
		auth_unix_ro = "none"
		listen_tls = 0
		listen_tcp = 1
		auth_tcp = "none"
		host_uuid = "${2}${2}${2}${2}${2}${2}${2}${2}-aaaa-bbbb-cccc-ddddeeeeffff"
		log_level = 3
		log_outputs = "3:file:/var/log/libvirt/libvirtd.log"
	X
	cat > "$root/etc/libvirt/qemu.conf" <<-X
		user = "root"
		group = "root"
		dynamic_ownership = 0
		remember_owner = 0
		security_driver = "none"
		stdio_handler = "file"
		cgroup_controllers = []
		namespaces = []
	X
	ip link set lo up
}

# The argument with which this script runs in a host's namespaces.
if [ "$1" = furnish ]; then
	furnish "$2" "$3"
	exec sleep 100000
fi

on() { # host, command
	eval "host_pid=\$pid_$1"
	host=$1
	shift
	# shellcheck disable=SC2154 # assigned by eval
	timeout $limit nsenter -t "$host_pid" -m -u -n chroot "/hosts/$host" "$@" < /dev/null
}

virsh() { # host, command
	host=$1
	shift
	on "$host" /usr/bin/virsh -q -c qemu:///system "$@" > /tmp/virsh 2>&1
	status=$?
	sed "s/^/# $host: /" /tmp/virsh | head -n 12
	return $status
}

shown() { # status: tells what is known if the case failed
	[ "$1" = 0 ] && return
	for host in alpha beta; do
		on $host tail -n 15 /var/log/libvirt/libvirtd.log | sed "s/^/# $host: libvirtd: /"
		on $host tail -n 15 /var/log/libvirt/qemu/nest.log | sed "s/^/# $host: QEMU: /"
	done
	tail -n 3 /shared/serial | sed 's/^/# /'
}

hosts() {
	for directory in bin dev etc proc root run shared sys tmp var; do
		mkdir -p "/lab/root/$directory"
	done
	mkdir -p /shared /hosts
	mount -t tmpfs none /shared
	mkdir /shared/cache
	cp nest.elf domain.xml /shared/
	unshare -m -u -n "$0" furnish alpha 1 &
	pid_alpha=$!
	unshare -m -u -n "$0" furnish beta 2 &
	pid_beta=$!
	sleep 2
	insmod veth.ko || return 1
	ip link add alpha0 type veth || return 1
	ip link set alpha0 netns $pid_alpha || return 1
	ip link set veth0 netns $pid_beta || return 1
	on alpha ip addr add 10.0.0.1/24 dev alpha0 && on alpha ip link set alpha0 up || return 1
	on beta ip addr add 10.0.0.2/24 dev veth0 && on beta ip link set veth0 up || return 1
	on alpha ping -c 1 -W 5 10.0.0.2 > /tmp/ping 2>&1 || { sed 's/^/# /' /tmp/ping; return 1; }
	for host in alpha beta; do
		on $host /usr/sbin/libvirtd --daemon --listen || return 1
	done
}

# --- the domain: all that it says is in one file, on whichever host it is ---

counted() {
	sed '$d' /shared/serial | awk '$1 == "count" { n = $2 } END { print n + 0 }'
}

# Waits until it has counted so much further.
counts_on() { # number
	until=$(($(counted) + $1)) tries=0
	until [ "$(counted)" -ge $until ]; do
		grep -q BAD /shared/serial && return 1
		tries=$((tries + 1))
		[ $tries -lt 300 ] || return 1
		usleep 200000
	done
	sed '$d' /shared/serial | awk '$1 == "count" && $2 != ++n { wrong = 1 } END { exit wrong || n < 2 }'
}

state() { # host, wanted state
	virsh "$1" domstate nest > /dev/null
	[ "$(head -n 1 /tmp/virsh)" = "$2" ]
}

case_of() { # status, name
	shown "$1"
	result "$1" "$2"
}

begin() {
	# At its first question each libvirtd asks QEMU what it can do, which takes long while a guest runs, too.
	virsh beta version && virsh alpha version
	case_of $? "both libvirtd answer virsh"
	virsh alpha domcapabilities --virttype kvm && grep -q '<domain>kvm</domain>' /tmp/virsh
	case_of $? "libvirt finds KVM"
	virsh alpha define /shared/domain.xml && state alpha "shut off"
	case_of $? "define"
	virsh alpha start nest && state alpha running && counts_on 3
	running=$?
	case_of $running "start: L1 counts, and its L2 runs"
	[ $running = 0 ] || return 1
}

life() {
	virsh alpha suspend nest && state alpha paused && virsh alpha resume nest && counts_on 3
	case_of $? "suspend, resume"
	virsh alpha save nest /shared/nest.save && state alpha "shut off" && [ -s /shared/nest.save ]
	case_of $? "save"
	virsh alpha restore /shared/nest.save && state alpha running && counts_on 3
	case_of $? "restore: L1 counts on from the number at which it was saved"
	rm -f /shared/nest.save
}

move() { # from, to, name, virsh's options
	from=$1 to=$2 name=$3
	shift 3
	virsh "$from" migrate --live "$@" nest "qemu+tcp://$to/system" && state "$to" running && counts_on 3
	case_of $? "$name"
}

moves() {
	move alpha beta "virsh migrate --live: alpha to beta"
	move beta alpha "virsh migrate --live --p2p: beta to alpha" --p2p
}

variants() {
	move alpha beta "virsh migrate --live --p2p --tunnelled: alpha to beta" --p2p --tunnelled
	move beta alpha "virsh migrate --live --postcopy --postcopy-after-precopy: beta to alpha" \
		--postcopy --postcopy-after-precopy
}

end() {
	virsh alpha destroy nest && state alpha "shut off" && virsh alpha undefine nest
	case_of $? "destroy, undefine"
}

if hosts; then
	result 0 "two hosts with libvirtd"
	begin && for group in "$@"; do
		"$group"
	done
	end
else
	case_of 1 "two hosts with libvirtd"
fi
echo "1..$count"
