#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs in L0 with Droste loaded. Tests drostectl trace, which makes and removes instances of tracefs. Prints TAP.
# In the same directory: drostectl, and of the selftests t_basic and t_vmx_exits.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
tracing=/sys/kernel/tracing
number=0

# Reports the last command's status: verdict $? "what was tested"
verdict() {
	number=$((number + 1))
	if [ "$1" = 0 ]; then
		echo "ok $number - $2"
	else
		tail -n 5 said out 2>/dev/null | sed 's/^/# /'
		echo "not ok $number - $2"
	fi
}

trace() {
	./drostectl trace "$@" > out 2> said
}

says() {
	grep -q -- "$1" said
}

# The lines of a file that are events.
events() {
	grep -E "^ .*-[0-9]+ .*: droste_[a-z0-9_]+: vm " "$1"
}

gone() {
	! ls $tracing/instances | grep -q drostectl
}

# refused "reason" "what was tested" ARGUMENTS...: nothing is recorded, the reason is told, and the instance is gone.
refused() {
	reason=$1 what=$2
	shift 2
	trace "$@"
	[ $? = 1 ] && says "$reason" && gone
	verdict $? "$what"
}

# The state of other tracing, which must stay as it is.
others() {
	for file in tracing_on trace_clock buffer_size_kb set_event events/droste/droste_run/filter; do cat $tracing/$file; done
}

# Waits until there is an instance whose recording is on.
started() {
	n=0
	until grep -q 1 $tracing/instances/drostectl-*/tracing_on 2>/dev/null || [ $n = 200 ]; do
		n=$((n + 1))
		sleep 0.1
	done
}

mount -t tracefs nodev $tracing 2>/dev/null
echo 'ret == 77' > $tracing/events/droste/droste_run/filter
echo 1 > $tracing/events/droste/droste_run/enable
echo counter > $tracing/trace_clock
others > before

trace --l2 --note "a note" -o events.txt -- ./t_vmx_exits && says "events, none lost" && gone
verdict $? "L2's events while a command runs"
head -n 1 events.txt | grep -q "^# drostectl trace: .*Linux $(uname -r); droste .*clock mono; command: ./t_vmx_exits; .*note: a note$"
verdict $? "the first line tells what was traced"
kept=$(events events.txt | wc -l)
tail -n 1 events.txt | grep -q "^# $kept events, 0 lost$" && [ "$kept" -gt 100 ]
verdict $? "the last line tells how many events there are"
grep -q "droste_route: .* L2 .*to L1 why" events.txt && ! grep -qE "droste_(exit|entry|event): vm [0-9]* vcpu [0-9]* L1|droste_vmx_insn" events.txt
verdict $? "they are L2's only"
grep -q "^ok" out
verdict $? "the command writes to standard output"
[ "$(stat -c %a events.txt)" = 600 ]
verdict $? "only its owner may read the file"
./drostectl why -i events.txt > why.txt 2> said
[ $? = 0 ] && [ ! -s said ] && grep -A 1 "by L2$" why.txt | grep -q "^    To L1: " &&
	tail -n 1 why.txt | grep -q "^$(grep -cE "droste_(route|entry_failed):" events.txt) events explained$"
verdict $? "each event that tells who got an exit, or how a VM entry failed, can be explained"

trace --json -o events.json -- ./t_vmx_exits
verdict $? "all events as JSON"
[ "$(grep -c '^{.*}$' events.json)" = "$(wc -l < events.json)" ] && ! grep -q '"text":' events.json &&
	tail -n 1 events.json | grep -q "^{\"events\":$(grep -c '"event":' events.json),\"lost\":0}$"
verdict $? "each event has the form that is known"
./drostectl why -i events.json 2> said | tail -n 1 |
	grep -q "^$(grep -cE '"event":"droste_(route|entry_failed)"' events.json) events explained$" && [ ! -s said ]
verdict $? "and can be explained, too"
for option in irq-info context-info; do echo 0 > $tracing/options/$option; done
trace --l2 -- ./t_vmx_exits && says "events, none lost" && ! says "understand" && events out | grep -q droste_route
verdict $? "options that the instance inherits do not change the form"
for option in irq-info context-info; do echo 1 > $tracing/options/$option; done

trace --l1 --filter 'reason == 10' -- ./t_vmx_exits && grep -q "droste_exit: .* L1 .*: CPUID" out &&
	! events out | grep -qv "L1 .*: CPUID" && head -n 1 out | grep -q "left out by the filter: .*droste_entry"
verdict $? "a filter, and what it leaves out"
trace --insn -- ./t_vmx_exits && grep -q "droste_vmx_insn" out && ! grep -q "droste_exit" out
verdict $? "VMX instructions"

refused "there were no exits of any VM" "no VM" -- true
refused "no L2 ran; there were [0-9]* exits of L1" "no L2" --l2 -- ./t_basic
refused "the filter matched nothing; there were [0-9]* exits" "a filter that matches nothing" --filter 'reason == 79' -- ./t_vmx_exits
refused "Field not found" "a field that no event has" --filter 'bogus == 1' -- true
refused "no clock \"sundial\"" "a clock that there is not" --clock sundial -- true
refused "there is no process 4000000" "a process that there is not" --pid 4000000
trace -- ./nothing
[ $? = 1 ] && says "nothing: No such file" && gone
verdict $? "a command that there is not"
./drostectl trace -o dir/not/there -- true 2> said
[ $? = 1 ] && says "No such file" && gone
verdict $? "a file that cannot be made"

trace -- sh -c './t_vmx_exits; exit 42'
[ $? = 42 ] && gone
verdict $? "the command's exit status"

# A shell without job control starts background commands with SIGINT ignored.
for signal in TERM HUP; do
	./drostectl trace -- sh -c './t_basic > /dev/null; sleep 100' > out 2> said &
	pid=$!
	started
	sleep 2
	kill -$signal $pid
	wait $pid
	gone && says "events, none lost"
	verdict $? "SIG$signal ends it"
done
./drostectl trace > out 2> said &
pid=$!
started
./t_basic > /dev/null
kill $pid
wait $pid && says "events, none lost" && gone
verdict $? "without a command, a signal ends it"

# VMs that fill the buffer all the time, with an end if it is not heard.
while :; do ./t_vmx_exits; done > /dev/null &
vms=$!
./drostectl trace --buffer 256 > out 2> said &
pid=$!
started
sleep 2
(sleep 60; kill -KILL $pid) 2> /dev/null &
kill $pid
wait $pid && gone
verdict $? "also while VMs run"
kill $vms
wait $vms

./drostectl trace > out 2> said &
pid=$!
started
instance=$tracing/instances/drostectl-$pid
exec 9< $instance/trace
kill $pid
wait $pid
says "stays, with its events off: .*another program" && [ "$(cat $instance/tracing_on)" = 0 ] &&
	[ "$(cat $instance/events/enable)" = 0 ] && ! grep -q "^hist" $instance/events/droste/droste_*/trigger
verdict $? "an instance that another program has open stays, and costs nothing"
exec 9<&-
trace -- ./t_basic && says "removed .*drostectl-$pid" && gone
verdict $? "the next one removes that too"

./drostectl trace > out 2> said &
pid=$!
started
kill -KILL $pid
wait $pid
gone
[ $? = 1 ]
verdict $? "SIGKILL leaves the instance"
trace -- ./t_basic && says "removed .*drostectl-$pid" && gone
verdict $? "the next one removes it"
./drostectl trace > out 2> said &
pid=$!
started
trace -- ./t_basic && ! says removed && [ -d $tracing/instances/drostectl-$pid ]
verdict $? "but not that of one that runs"
kill $pid
wait $pid

./drostectl trace -- sh -c './t_basic; ./t_basic; sleep 1' 2> said | head -n 1 > out
sleep 1
gone
verdict $? "a reader that is gone ends it"
./drostectl trace -o /dev/full -- ./t_basic > out 2> said
[ $? = 1 ] && says "/dev/full: No space" && gone
verdict $? "a full disk"

trace --buffer 4 -o lost.txt -- ./t_vmx_exits && says "were lost"
verdict $? "a small buffer loses events, and that is told"
kept=$(events lost.txt | wc -l)
tail -n 1 lost.txt | grep -q "^# $kept events, [1-9][0-9]* lost$" && grep -q "LOST [0-9]* EVENTS" lost.txt
verdict $? "with their number, and where"

./drostectl trace > out 2> said &
pid=$!
started
echo 0 > $tracing/instances/drostectl-$pid/tracing_on
./t_basic > /dev/null
kill $pid
wait $pid
[ $? = 1 ] && says "set tracing_on of the instance to 0" && gone
verdict $? "tracing_on that somebody turned off"

# A process whose child has a VM, and one beside it.
sh -c 'sleep 3; ./t_basic; sleep 1' > /dev/null &
vm=$!
trace --pid $vm &
pid=$!
started
./t_vmx_exits > /dev/null
wait $vm
wait $pid && [ "$(events out | wc -l)" -gt 0 ] && ! events out | grep -q "t_vmx_exits-" && says "events, none lost"
verdict $? "the events of one process, until it ends"

others > after
cmp before after && [ "$(cat $tracing/tracing_on)" = 1 ]
verdict $? "other tracing is as it was"

echo 0 > $tracing/events/droste/droste_run/enable
rmmod droste
refused "the module droste is not loaded" "without the module" -- true
# debugfs mounts another one when it is asked for it.
umount /sys/kernel/debug/tracing /sys/kernel/debug 2>/dev/null
while umount $tracing 2>/dev/null; do :; done
trace -- true
[ $? = 1 ] && says "tracefs is not mounted"
verdict $? "without tracefs"
echo "1..$number"
