package main

// What the manual pages have besides what --help and the reference file say, in man(7).

const manualHead = `.TH CONNTALLY-HISTORY 1 2026-11-30 conntally "User Commands"
.SH NAME
conntally-history \- keep who moved how much, by hour, day and month
.SH SYNOPSIS
`

const manualAbout = `.SH DESCRIPTION
A collector of IPFIX and NetFlow v9 with memory:
.B conntally-history serve
receives the records of
.BR conntally (1)
and other exporters, adds up what each device moved, and keeps it in one
SQLite file.
.B conntally-history report
answers who used how much; all times are local. The database belongs to the
service, so that the other commands need root.
.SH COMMANDS
`

const manualTail = `.SH SERVICE
Have
.BR conntally (1)
send its records here, in
.IR /etc/conntally.toml :
.PP
.nf
    [flow]
    extra_fields = ["mac"]

    [[collector]]
    address = "127.0.0.1:2056"
.fi
.PP
and start both services:
.PP
.nf
    systemctl enable \-\-now conntally\-history conntally
.fi
.PP
The web page is at http://127.0.0.1:9470, metrics for Prometheus at /metrics
there. The service runs as a user of its own without any capability.
.SH EXIT STATUS
.TP
.B 0
Done.
.TP
.B 1
It failed;
.B check
found what fails, or
.B report \-\-quota
a quota that is exceeded.
.TP
.B 2
The command line or the configuration is wrong.
.SH SIGNALS
At SIGTERM and SIGINT,
.B conntally-history serve
writes what it has counted, then ends. A second SIGTERM or SIGINT ends any
command at once.
.SH ENVIRONMENT
.TP
.B STATE_DIRECTORY
Where history.db is, unless the configuration names a file.
.TP
.B TZ
The time zone of hours, days and months.
.SH FILES
.TP
.I /etc/conntally-history.toml
The configuration; it may be absent.
.TP
.I /var/lib/conntally-history/history.db
The database. Its views are there for SQL: docs/history.md describes them.
.TP
.I /usr/share/doc/conntally-history
Documents.
.SH EXAMPLES
.TP
.B conntally-history serve \-\-database /tmp/history.db
Receive records without the service, into a file of your own.
.TP
.B sudo conntally-history check
Can the service work, and is something wrong with the one that runs?
.TP
.B sudo conntally-history report
Who used how much this month?
.TP
.B sudo conntally-history report \-\-by destination \-\-device smart-tv \-\-from 7d
What does the TV talk to, and how often?
.TP
.B sudo conntally-history report \-\-by total \-\-period day
Each day of this month, all devices together.
.TP
.B sudo conntally-history report \-\-by destination \-\-new
What is new since yesterday?
.TP
.B sudo conntally-history report \-\-quota || echo exceeded
Is a quota of the configuration exceeded?
.TP
.B sudo conntally-history export \-\-json > usage.json
All that is kept, by hour, day and month.
.TP
.B sudo conntally-history import \-\-month 2026-10 nlbw.json
Add what nlbwmon has counted in October.
.TP
.B sudo conntally-history demo
Everything at once, on a router made of network namespaces.
.TP
.B conntally-history version \-\-json
What is this, for a program?
.TP
.B conntally-history help report
The flags of a command.
.SH LIMITS
.IP \(bu 2
What exporters send while the service doesn't run is lost. So is, after a
crash, what came since the database was last written (flush_interval). Each
report says how many records are missing.
.IP \(bu 2
It keeps sums, not single flows: usage by hour for 60 days, by day for three
years, and destinations by day for 90 days.
.IP \(bu 2
One machine and one file of at most max_size.
.SH SEE ALSO
.BR conntally-history.toml (5),
.BR conntally (1),
.BR sqlite3 (1),
.BR systemd.resource-control (5)
`

const configHead = `.TH CONNTALLY-HISTORY.TOML 5 2026-11-30 conntally "File Formats"
.SH NAME
conntally-history.toml \- configuration of conntally-history
.SH DESCRIPTION
.B conntally-history
reads
.IR /etc/conntally-history.toml ,
in TOML, or the
.I FILE
of
.BR \-\-config .
Flags override it. The file may be absent, and so may each key. A key that
doesn't exist is a mistake, and so is a value that isn't allowed:
.PP
.nf
    conntally-history serve \-\-check\-config
.fi
.PP
lists all mistakes with line and key.
.PP
A duration has a unit, such as "30s", "5m", "12h" or "60d"; so has a size,
such as "512MiB" or "100GB". A network is written as 192.0.2.0/24, or as a
single address.
.SH TABLES
A table in double brackets may be given several times. The values below are
the defaults; those of
.B [[device]]
are an example, since by default there is none. The service reads the file
when it starts.
`

const configTail = `.SH EXAMPLES
A billing month that begins on the 15th, and quotas:
.PP
.nf
    [report]
    billing_day = 15
    quota       = "500GB"

    [[device]]
    name  = "smart-tv"
    mac   = ["02:00:00:00:00:01"]
    quota = "100GB"
.fi
.PP
Records of a second router, by the network:
.PP
.nf
    [collector]
    address   = "0.0.0.0:2056"
    exporters = ["127.0.0.1", "192.0.2.1"]
.fi
.SH FILES
.TP
.I /etc/conntally-history.toml
The configuration of the service.
.TP
.I /usr/share/doc/conntally-history/conntally-history.toml
A file with every key.
.SH SEE ALSO
.BR conntally-history (1)
`
