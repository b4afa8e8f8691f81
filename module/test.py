# What test.nix's virtual machines do.

LAN, WAN, SERVER = "192.168.1.10", "192.0.2.1", "192.0.2.20"


def download(port: int, options: str = "") -> None:
    client.succeed(f"curl -sf --local-port {port} {options} -o /dev/null http://{SERVER}/file")


def counted(port: int) -> int:
    """The bytes of both directions that the kernel has counted, once it's over."""
    entry = f"conntrack -L -p tcp --sport {port} 2>/dev/null"
    router.wait_until_succeeds(f"{entry} | grep TIME_WAIT")
    return sum(int(n) for n in router.succeed(f"{entry} | grep -o 'bytes=[0-9]*' | cut -d= -f2").split())


def flows(port: int, columns: str) -> list[list[str]]:
    """What nfdump has, as columns in the order of time."""
    text = collector.succeed(f"nfdump -q -N -R /var/lib/nfcapd -o 'fmt:{columns}' 'proto tcp and port {port}'")
    return [[cell.strip() for cell in line.split(",")] for line in text.splitlines() if "," in line]


def arrived(port: int, total: int) -> None:
    """Both collectors get to have each byte, and no byte twice."""
    summed = "awk '{ s += $1 } END { print s + 0 }'"
    nfdump = f"nfdump -q -N -R /var/lib/nfcapd -o fmt:%byt 'proto tcp and port {port}' | {summed}"
    goflow2 = f"jq 'select(.src_port == {port} or .dst_port == {port}).bytes' /var/lib/goflow2/flows.json | {summed}"
    for sent in nfdump, goflow2:
        collector.wait_until_succeeds(f"test $({sent}) = {total}", timeout=120)


def started() -> str:
    """Changes with each start of the service."""
    router.wait_for_unit("conntally.service")
    return router.succeed("systemctl show --property MainPID,NRestarts conntally.service")


# A collector that comes later has to wait up to a minute for templates.
collector.start()
for port in 2055, 2056:
    collector.wait_until_succeeds(f"ss -Hlun sport = :{port} | grep -q .")
start_all()
server.wait_for_unit("nginx.service")
server.wait_for_open_port(80)
client.wait_for_unit("network.target")
first = started()

with subtest("The kernel counts from the beginning, and the machine is ready"):
    for name in "acct", "timestamp", "events":
        router.succeed(f"test $(cat /proc/sys/net/netfilter/nf_conntrack_{name}) = 1")
    print(router.succeed("conntally check --config /etc/conntally.toml"))

with subtest("The service is no more exposed than it was"):
    router.succeed("systemd-analyze security --no-pager --threshold=15 conntally.service")

with subtest("Flows arrive with NAT and interfaces"):
    download(40001)
    arrived(40001, counted(40001))
    lan, wan = (router.succeed(f"cat /sys/class/net/{name}/ifindex").strip() for name in ("eth1", "eth2"))
    rows = flows(40001, "%sa,%sp,%da,%dp,%nsa,%in,%out")
    assert [LAN, "40001", SERVER, "80", WAN, lan, wan] in rows, rows
    assert any(row[:4] + row[5:] == [SERVER, "80", LAN, "40001", wan, lan] for row in rows), rows

with subtest("A restart loses nothing"):
    client.succeed(
        "systemd-run --unit download --property Type=exec --remain-after-exit "
        f"curl -sf --local-port 40002 --limit-rate 200k -o /dev/null http://{SERVER}/file"
    )
    router.wait_until_succeeds("conntrack -L -p tcp --sport 40002 2>/dev/null | grep ASSURED")
    router.succeed("systemctl restart conntally.service")
    second = started()
    assert first != second, first
    client.wait_until_succeeds("systemctl show --property SubState download | grep exited")
    arrived(40002, counted(40002))

with subtest("The client's two downloads are counted, over the restart"):
    client_down = f"jq -e '.[] | select(.addresses | index(\"{LAN}\")) | .wan.down_bytes >= 8000000'"
    router.wait_until_succeeds(f"conntally devices --json | {client_down}", timeout=60)

with subtest("A new configuration is read again, or begins anew where it has to"):
    system = router.succeed("readlink -f /run/current-system").strip()
    router.succeed(f"{system}/specialisation/verbose/bin/switch-to-configuration test")
    router.wait_until_succeeds("journalctl -u conntally.service --grep 'configuration read again'")
    assert second == started(), "restarted for the level of the log"
    router.succeed(f"{system}/specialisation/roomy/bin/switch-to-configuration test")
    assert second != started(), "not restarted for the size of a buffer"
    download(40003)
    arrived(40003, counted(40003))
