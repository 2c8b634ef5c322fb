#!/bin/dash
# Two bridges, A and B, and a cable between them: each a network namespace of this guest, with an end of a veth pair.
# Leaves capture.pcapng, lldp.json, tc.json and ptp4l.log in /fixtures, complete ones only. The exit code says which
# step failed.
set -u
work=/tmp/work
out=/fixtures
mkdir -p $work /run/lldpd

step() { echo "step: $1 ($(cut -d' ' -f1 /proc/uptime) s)"; }
fail() { echo "failed: $1"; exit "$2"; }
# until SECONDS COMMAND: try again until it succeeds
until_within() {
    tries=$(($1 * 5))
    shift
    while ! eval "$*"; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        sleep 0.2
    done
}
in_a() { ip netns exec A "$@"; }
in_b() { ip netns exec B "$@"; }

step topology
ip netns add A && ip netns add B &&
    ip link add va netns A address 02:00:00:00:00:0a numtxqueues 4 numrxqueues 4 type veth \
        peer name vb netns B address 02:00:00:00:00:0b numtxqueues 4 numrxqueues 4 &&
    in_a ip addr add 192.0.2.1/24 dev va && in_b ip addr add 192.0.2.2/24 dev vb || fail "the cable" 10
for up in "in_a ip link set lo up" "in_b ip link set lo up" "in_a ip link set va up" "in_b ip link set vb up"; do
    $up || fail "$up" 10
done

step capture
# Not in_b: what runs in the background has to be the program itself, for the signals that end it.
ip netns exec B dumpcap -q -i vb -s 256 -a duration:120 -w $work/capture.pcapng >$work/dumpcap.log 2>&1 &
capture=$!
until_within 20 "[ -s $work/capture.pcapng ]" || { cat $work/dumpcap.log; fail "dumpcap does not capture" 11; }

step taprio
in_a tc qdisc replace dev va parent root handle 100 taprio num_tc 4 map 0 1 2 3 0 0 0 0 0 0 0 0 0 0 0 0 \
    queues 1@0 1@1 1@2 1@3 base-time 1000000000 \
    sched-entry S 01 300000 sched-entry S 02 300000 sched-entry S 0c 400000 clockid CLOCK_TAI || fail taprio 12
in_a tc -j qdisc show dev va >$work/tc.json || fail "tc -j" 12

step lldp
for end in "A va" "B vb"; do
    set -- $end
    cat >$work/lldpd-$1.conf <<CONF
configure system hostname bridge-$1
configure system description "bridge $1 of the trace topology"
configure lldp tx-interval 1
configure ports $2 lldp portidsubtype local $2 description "cable end $2"
CONF
    ip netns exec "$1" lldpd -d -i -k -P guest -u /run/lldpd-$1.sock -I "$2" -C "$2" -O $work/lldpd-$1.conf \
        >$work/lldpd-$1.log 2>&1 &
    eval "lldpd_$1=\$!"
done

step ptp
cat >$work/ptp.cfg <<CONF
[global]
time_stamping software
tx_timestamp_timeout 200
clock_servo nullf
sanity_freq_limit 0
logAnnounceInterval -2
logSyncInterval -3
logMinDelayReqInterval -3
summary_interval -4
freq_est_interval 0
fault_reset_interval 0
CONF
ip netns exec A ptp4l -f $work/ptp.cfg -i va -S -m -q --free_running 1 --priority1 100 --uds_address /run/ptp-A \
    >$work/ptp4l-A.log 2>&1 &
master=$!
ip netns exec B ptp4l -f $work/ptp.cfg -i vb -S -m -q -s --uds_address /run/ptp-B >$work/ptp4l.log 2>&1 &
slave=$!

heard() {
    in_a lldpcli -u /run/lldpd-A.sock -f json show neighbors details >$work/lldp.json 2>$work/lldpcli.log &&
        grep -q '"bridge-B"' $work/lldp.json
}
until_within 30 heard || { cat $work/lldpd-A.log $work/lldpcli.log; fail "no neighbour was heard" 13; }
step neighbours
kill $lldpd_A $lldpd_B
until_within 60 "[ \$(grep -c 'master offset' $work/ptp4l.log) -ge 12 ]" || {
    cat $work/ptp4l-A.log $work/ptp4l.log
    fail "no offsets were measured" 14
}
step offsets
kill $slave $master
wait $slave $master
kill -INT $capture
wait $capture
tail -n 1 $work/dumpcap.log

for name in capture.pcapng lldp.json tc.json ptp4l.log; do
    chmod 644 "$work/$name" && cp "$work/$name" "$out/.$name" && mv "$out/.$name" "$out/$name" || fail "copying $name" 20
done
(cd $out && sha256sum capture.pcapng lldp.json ptp4l.log tc.json >.sums && mv .sums SHA256SUMS) || fail SHA256SUMS 20
step done
