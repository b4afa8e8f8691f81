package main

// What the manual pages have besides what --help and the reference file say, in man(7).

const manualHead = `.TH CONNTALLY 1 2026-11-30 conntally "User Commands"
.SH NAME
conntally \- export connection tracking as NetFlow v9 or IPFIX
.SH SYNOPSIS
`

const manualAbout = `.SH DESCRIPTION
The kernel of a Linux router counts the packets and bytes of each connection
that it tracks.
.B conntally run
reads these counters and sends them to flow collectors; without a collector it
prints the flows. It needs the capability CAP_NET_ADMIN.
.B conntally check
shows what a machine lacks, and which command fixes it.
.BR "conntally top" ,
.BR status ,
.B devices
and
.B flows
ask the running service.
.SH COMMANDS
`

const manualTail = `.SH SERVICE
Name a collector in
.IR /etc/conntally.toml ,
see
.BR conntally.toml (5),
then start the service:
.PP
.nf
    systemctl enable \-\-now conntally
.fi
.PP
It runs as a user of its own, with CAP_NET_ADMIN alone.
.B systemctl reload conntally
applies a changed configuration and loses nothing; if the file has a mistake,
the service continues with the old one.
.B systemctl restart conntally
counts nothing twice; only what ends meanwhile is missing.
.B journalctl \-u conntally
shows its log: each thing that is wrong, with the command that fixes it.
.SH EXIT STATUS
.TP
.B 0
Done.
.B conntally check
found nothing that fails; without CAP_NET_ADMIN it checks less, and says what
it left out.
.TP
.B 1
It failed;
.B conntally check
found what fails.
.TP
.B 2
The command line or the configuration is wrong.
.SH SIGNALS
At SIGTERM and SIGINT,
.B conntally run
exports all that is pending, then ends. At SIGHUP it reads its configuration
again. A second SIGTERM or SIGINT ends any command at once.
.SH ENVIRONMENT
.TP
.B STATE_DIRECTORY
Where
.B conntally run
records what it has exported, so that a restart counts nothing twice, unless
the configuration names a directory.
.TP
.B NO_COLOR
If it is not empty, no command prints colours.
.TP
.B TERM
If it is dumb,
.B conntally top
prints plain rows.
.TP
.B RUNTIME_DIRECTORY
The directory of the control socket, in place of /run/conntally.
.SH FILES
.TP
.I /etc/conntally.toml
The configuration of the service.
.TP
.I /run/conntally/control.sock
Where the service answers questions: HTTP and JSON, read only. Root and the
service's group may use it.
.TP
.I /var/lib/conntally/conntally.state
What has been exported of each connection.
.TP
.I /var/lib/conntally/devices.json
The devices and their counters.
.TP
.I /usr/share/doc/conntally
Documents: what a record means, its fields, each warning and each metric.
.SH EXAMPLES
.TP
.B sudo conntally check
Is this machine ready?
.TP
.B sudo conntally check \-\-config /etc/conntally.toml
The same, with the collectors of that file.
.TP
.B sudo conntally run
Print flows as they end or go idle, and long ones every minute.
.TP
.B sudo conntally run \-\-collector 192.0.2.10:2055
Export by IPFIX.
.TP
.B sudo conntally run \-\-collector [2001:db8::10]:2055 \-\-protocol netflow9
Export by NetFlow v9, over IPv6.
.TP
.B sudo conntally run \-\-check\-config \-\-config /etc/conntally.toml
Is this file right?
.TP
.B conntally listen \-\-address 0.0.0.0:2055
Print what arrives, on any machine.
.TP
.B conntally collector\-config nfdump \-\-collector 192.0.2.10:2055
How to start nfcapd, and what the interface numbers stand for.
.TP
.B sudo conntally top
Who uses the line now?
.TP
.B sudo conntally top \-\-once \-\-by destination \-n 5
The five busiest destinations.
.TP
.B sudo conntally devices
What has each device moved?
.TP
.B sudo conntally flows \-\-device 192.168.1.30
The connections of one device.
.TP
.B sudo conntally status
What is wrong, if anything?
.TP
.B sudo conntally demo
Everything at once, on a router made of network namespaces.
.TP
.B conntally version \-\-json
What is this, for a program?
.TP
.B conntally help run
The flags of a command.
.SH LIMITS
.IP \(bu 2
Only what conntrack tracks is exported: no traffic with
.IR notrack ,
no connection whose first packet a firewall drops, and bridged frames only
where br_netfilter is on.
.IP \(bu 2
Connections that began before nf_conntrack_acct was 1 have no counters.
.IP \(bu 2
The kernel doesn't count retransmitted SYNs, ICMP errors of a connection, or
packets that it calls invalid.
.IP \(bu 2
Another program that zeroes the counters, such as nlbwmon, takes what they
counted since the last reading. This is noticed, but can't be undone.
.IP \(bu 2
TCP flags follow from the connection's state, and interfaces from routes.
.IP \(bu 2
Where most connections have only a few packets, a packet capture is cheaper.
.PP
The documents have more, in
.I README.md
and
.IR docs/records.md .
.SH SEE ALSO
.BR conntally.toml (5),
.BR conntally\-history (1),
.BR conntrack (8),
.BR nft (8),
.BR sysctl (8)
`

const configHead = `.TH CONNTALLY.TOML 5 2026-11-30 conntally "File Formats"
.SH NAME
conntally.toml \- configuration of conntally
.SH DESCRIPTION
.B conntally run \-\-config
.I FILE
reads a file in TOML; the service reads
.IR /etc/conntally.toml .
Flags override it. Each key may be left out. A key that doesn't exist is a
mistake, and so is a value that isn't allowed:
.PP
.nf
    conntally run \-\-check\-config \-\-config /etc/conntally.toml
.fi
.PP
lists all mistakes with line and key.
.PP
A duration has a unit, such as "500ms", "15s", "5m" or "1h30m"; so has a size,
such as "512KiB" or "16MiB", unless it is a number of bytes. A network is
written as 192.0.2.0/24, or as a single address.
.SH TABLES
A table in double brackets may be given several times. The values below are
the defaults; those of
.BR [[collector]] ,
.B [[filter]]
and
.B [[device]]
are examples, since by default there is none.
`

const configTail = `.SH FILTERS
Filters are tried in the order of the file. The first one whose conditions are
all met decides; a condition is met if one of its values matches. A connection
that meets none is exported; a last filter without conditions changes that. A
filter is applied once, when the connection is first seen. Source is the end
that opened the connection; addresses and ports are those of the two real
ends, whatever NAT makes of them.
.SH RELOAD
At SIGHUP
.RB ( "systemctl reload conntally" )
the file is read again. No connection is forgotten, and nothing is counted
twice. A file with a mistake is refused, and the old configuration stays in
force.
.SH EXAMPLES
One collector, and all else by default:
.PP
.nf
    [[collector]]
    address = "192.0.2.10:2055"
.fi
.PP
Two collectors, one of them for NetFlow v9, and no DNS:
.PP
.nf
    [[collector]]
    address = "192.0.2.10:2055"

    [[collector]]
    address  = "[2001:db8::10]:2055"
    protocol = "netflow9"

    [[filter]]
    action            = "exclude"
    protocols         = ["udp", "tcp"]
    destination_ports = [53, 853]
.fi
.PP
Metrics for Prometheus, of each device, too:
.PP
.nf
    [metrics]
    listen  = "127.0.0.1:9469"
    devices = true
.fi
.SH FILES
.TP
.I /etc/conntally.toml
The configuration of the service. Its user has to be able to read it.
.TP
.I /usr/share/doc/conntally/conntally.toml
A file with every key.
.TP
.I /usr/share/doc/conntally/docs/configuration.md
More on filters, devices and reloads.
.SH SEE ALSO
.BR conntally (1)
`
