#!/bin/sh
# conntally is started before the kernel's modules are loaded.
# shellcheck source=.ci/guest/tests/lib disable=SC2317 # functions are called by others
. ./lib

loaded() { lsmod | grep -q "^$1 "; }
says() { grep -q -- "$2" "$1"; }
setting() { [ "$(cat "/proc/sys/net/netfilter/nf_conntrack_$1" 2>/dev/null)" = "$2" ]; }

# unload removes all modules of netfilter, the users of one before it.
unload() {
	for _ in 1 2 3 4 5 6; do
		lsmod | awk '/^(nft|nf|xt|ip6?t)[a-z]*_/ || /^nfnetlink / {print $1}' | xargs -r -n 1 rmmod 2>/dev/null
	done
	! loaded nf_conntrack
}

# start FILE runs conntally, whose log is FILE.
start() {
	log=$1
	printf '[conntrack]\nmax_cpu = 100.0\npoll_interval = "1s"\n' >config # emulated, a poll takes its time
	./conntally run --config config --collector 127.0.0.1:2055 >"$log" 2>&1 &
	probe=$!
}

stop() {
	kill $probe
	wait $probe
	holds "it ends with 0" [ $? = 0 ]
	cat "$log"
	fails "no table was resized" says "$log" resized
}

fails "no module is loaded at first" loaded nf_conntrack
echo "== modules can be loaded"
start may-load
holds "it reads" eventually says may-load "reading conntrack"
for module in nf_conntrack nf_conntrack_netlink; do holds "$module is loaded" loaded $module; done
for name in acct timestamp events; do holds "$name is on" eventually setting $name 1; done
stop

echo "== they can't be loaded"
holds "unloaded" unload
loader=$(cat /proc/sys/kernel/modprobe)
echo /bin/false >/proc/sys/kernel/modprobe
if loaded nfnetlink; then
	bad "nfnetlink is still there"
elif modinfo --field filename nfnetlink 2>/dev/null | grep -qF nfnetlink.ko; then # else it is built in
	fails "it can't start without nfnetlink" timeout 600 ./conntally run --collector 127.0.0.1:2055 2>without
	cat without
	holds "one line says why" [ "$(wc -l <without)" = 1 ]
	holds "and has the command" says without "nfnetlink is not loaded: modprobe nf_conntrack_netlink"
	fails "check fails, too" ./conntally check
	modprobe nfnetlink
fi
start late
holds "it starts, and says what is missing" eventually says late conntrack_missing
echo "$loader" >/proc/sys/kernel/modprobe

echo "== nf_conntrack is loaded, then nf_conntrack_netlink, then there is traffic"
modprobe nf_conntrack
sleep 3
modprobe nf_conntrack_netlink
for name in acct timestamp; do holds "$name is on" eventually setting $name 1; done
./conntally listen --json >flows 2>/dev/null &
listener=$!
nft 'table inet t {
	chain in { type filter hook prerouting priority 0; ct state new; }
	chain out { type filter hook output priority 0; ct state new; }
}'
ip netns add peer
ip link add here type veth peer name there netns peer
ip addr add 192.0.2.1/24 dev here
ip link set here up
ip -n peer addr add 192.0.2.2/24 dev there
ip -n peer link set there up
holds "there is traffic" eventually ping -q -c 1 -W 5 192.0.2.2
ping -q -c 5 -i 0.5 -s 100 192.0.2.2 # 128 octets each, in a connection of its own
sent() { [ "$(grep -c '"bytes":640' flows)" = 2 ]; }
holds "both its directions are exported" eventually sent
stop
kill $listener
cat flows
end
