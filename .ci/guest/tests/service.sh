#!/bin/sh
# init: systemd
# needs: dist/conntally_*_ARCH.deb .ci/service-test
# The deb as a service of a machine that has just booted.
# shellcheck source=.ci/guest/tests/lib disable=SC2317 # functions are called by others
. ./lib

setting() { [ "$(cat "/proc/sys/net/netfilter/nf_conntrack_$1" 2>/dev/null)" = "$2" ]; }

fails "no module is loaded at first" [ -e /proc/sys/net/netfilter/nf_conntrack_acct ]
mv conntally_*.deb /conntally.deb
# What the test of the service asks of a machine in namespaces holds on this one, too.
holds "the service" env WATCHDOG=20 PATIENCE=6000 EBPF=need sh -eu ./service-test exporter
echo "== as at a boot"
dpkg -i /conntally.deb
for name in acct timestamp; do echo 0 >/proc/sys/net/netfilter/nf_conntrack_$name; done
systemctl restart systemd-modules-load systemd-sysctl
for name in acct timestamp; do holds "$name is on" setting $name 1; done
holds "the unit is valid" systemd-analyze verify --man=no conntally.service
# exposed TENTHS: at most so much.
exposed() {
	systemd-analyze security --no-pager --threshold="$1" conntally.service >exposure &&
		tail -n 1 exposure
}
holds "its exposure" exposed 15
install -D -m 644 -t /etc/systemd/system/conntally.service.d /usr/share/conntally/ebpf.conf
systemctl daemon-reload
holds "so it is with the drop-in" systemd-analyze verify --man=no conntally.service
holds "its exposure with the drop-in" exposed 21
rm -r /etc/systemd/system/conntally.service.d
systemctl daemon-reload
fails "the kernel denied nothing" sh -c 'journalctl -k --no-pager | grep -iE "apparmor.*denied|audit.*denied"'
dpkg --purge conntally
holds "nothing has failed" [ -z "$(systemctl --failed --no-legend --plain)" ]
end
