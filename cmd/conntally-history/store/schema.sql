-- Version 1 of the database. The tables may change from version to version (migrate.go); the
-- views whose names begin with usage_by_ are for SQL users and stay.
--
-- hour is the start of an hour of local time in seconds since 1970, day counts local days since
-- 1970-01-01, month local months since January of year 0. Each byte stands in one table only:
-- by hour, once that is old by day, at last by month.

CREATE TABLE run (
    id       INTEGER PRIMARY KEY,
    started  INTEGER NOT NULL,
    updated  INTEGER NOT NULL, -- the last flush that wrote nothing about an exporter
    ended    INTEGER,          -- NULL: it runs
    crashed  INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE setting (
    name   TEXT PRIMARY KEY,
    value  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE hour (
    hour   INTEGER PRIMARY KEY,
    day    INTEGER NOT NULL,
    label  TEXT NOT NULL -- local time
) STRICT;

-- All that each flush changes, of devices, exporters and services: one table, and rows as small
-- as they can be, since the pages of these rows are what wears flash. Bits 22 and up of id are the
-- hour (in quarters, as zones may be 45 minutes off), bits 20 and 21 the kind of the row: 0 a
-- device, 1 an exporter, 2 a service; the lower ones are the id of that. The views that follow
-- give names to the rest.
CREATE TABLE counted (
    id  INTEGER PRIMARY KEY,
    a   INTEGER NOT NULL DEFAULT 0,
    b   INTEGER NOT NULL DEFAULT 0,
    c   INTEGER NOT NULL DEFAULT 0,
    d   INTEGER NOT NULL DEFAULT 0,
    e   INTEGER NOT NULL DEFAULT 0,
    f   INTEGER NOT NULL DEFAULT 0,
    g   INTEGER NOT NULL DEFAULT 0,
    h   INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE VIEW device_hour AS
SELECT id, (id >> 22) * 900 AS hour, id & 0xfffff AS device,
       a AS up_bytes, b AS down_bytes, c AS up_packets, d AS down_packets,
       e AS lan_up_bytes, f AS lan_down_bytes, g AS lan_up_packets, h AS lan_down_packets
FROM counted WHERE (id >> 20) & 3 = 0;

-- The next message from port should have the sequence number next; updated is when they were
-- written. All of it is one number, 0 for none.
CREATE VIEW exporter_hour AS
SELECT id, (id >> 22) * 900 AS hour, id & 0xfffff AS exporter,
       a AS datagrams, b AS records, c AS bytes, d AS missing_records,
       e AS missing_datagrams, f AS unknown_sets, g AS refused,
       (h >> 32) & 0xffff AS port, h & 0xffffffff AS next, h <> 0 AS sequenced,
       (id >> 22) * 900 + (h >> 48) AS updated
FROM counted WHERE (id >> 20) & 3 = 1;

CREATE VIEW service_hour AS
SELECT id, (id >> 22) * 900 AS hour, id & 0xfffff AS service,
       a AS up_bytes, b AS down_bytes, c AS up_packets, d AS down_packets
FROM counted WHERE (id >> 20) & 3 = 2;

CREATE TABLE device (
    id         INTEGER PRIMARY KEY,
    device     TEXT NOT NULL UNIQUE,
    name       TEXT NOT NULL DEFAULT '',
    mac        TEXT NOT NULL DEFAULT '',
    vendor     TEXT NOT NULL DEFAULT '',
    addresses  TEXT NOT NULL DEFAULT '', -- the latest first, between spaces
    first      INTEGER NOT NULL DEFAULT 0,
    last       INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE exporter (
    id       INTEGER PRIMARY KEY,
    address  TEXT NOT NULL,
    version  INTEGER NOT NULL,
    domain   INTEGER NOT NULL,
    UNIQUE (address, version, domain)
) STRICT;

CREATE TABLE service (
    id    INTEGER PRIMARY KEY,
    unit  TEXT NOT NULL UNIQUE
) STRICT;

-- What has been counted of each invocation of a unit that may still move something.
CREATE TABLE service_state (
    unit              TEXT NOT NULL,
    invocation        TEXT NOT NULL,
    up_bytes          INTEGER NOT NULL DEFAULT 0,
    down_bytes        INTEGER NOT NULL DEFAULT 0,
    up_packets        INTEGER NOT NULL DEFAULT 0,
    down_packets      INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (unit, invocation)
) STRICT, WITHOUT ROWID;

CREATE TABLE device_day (
    day               INTEGER NOT NULL,
    device            INTEGER NOT NULL,
    up_bytes          INTEGER NOT NULL DEFAULT 0,
    down_bytes        INTEGER NOT NULL DEFAULT 0,
    up_packets        INTEGER NOT NULL DEFAULT 0,
    down_packets      INTEGER NOT NULL DEFAULT 0,
    lan_up_bytes      INTEGER NOT NULL DEFAULT 0,
    lan_down_bytes    INTEGER NOT NULL DEFAULT 0,
    lan_up_packets    INTEGER NOT NULL DEFAULT 0,
    lan_down_packets  INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (day, device)
) STRICT, WITHOUT ROWID;

CREATE TABLE device_month (
    month             INTEGER NOT NULL,
    device            INTEGER NOT NULL,
    up_bytes          INTEGER NOT NULL DEFAULT 0,
    down_bytes        INTEGER NOT NULL DEFAULT 0,
    up_packets        INTEGER NOT NULL DEFAULT 0,
    down_packets      INTEGER NOT NULL DEFAULT 0,
    lan_up_bytes      INTEGER NOT NULL DEFAULT 0,
    lan_down_bytes    INTEGER NOT NULL DEFAULT 0,
    lan_up_packets    INTEGER NOT NULL DEFAULT 0,
    lan_down_packets  INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (month, device)
) STRICT, WITHOUT ROWID;

CREATE TABLE exporter_day (
    day               INTEGER NOT NULL,
    exporter          INTEGER NOT NULL,
    datagrams         INTEGER NOT NULL DEFAULT 0,
    records           INTEGER NOT NULL DEFAULT 0,
    bytes             INTEGER NOT NULL DEFAULT 0,
    missing_records   INTEGER NOT NULL DEFAULT 0,
    missing_datagrams INTEGER NOT NULL DEFAULT 0,
    unknown_sets      INTEGER NOT NULL DEFAULT 0,
    refused           INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (day, exporter)
) STRICT, WITHOUT ROWID;

CREATE TABLE exporter_month (
    month             INTEGER NOT NULL,
    exporter          INTEGER NOT NULL,
    datagrams         INTEGER NOT NULL DEFAULT 0,
    records           INTEGER NOT NULL DEFAULT 0,
    bytes             INTEGER NOT NULL DEFAULT 0,
    missing_records   INTEGER NOT NULL DEFAULT 0,
    missing_datagrams INTEGER NOT NULL DEFAULT 0,
    unknown_sets      INTEGER NOT NULL DEFAULT 0,
    refused           INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (month, exporter)
) STRICT, WITHOUT ROWID;

CREATE TABLE service_day (
    day               INTEGER NOT NULL,
    service           INTEGER NOT NULL,
    up_bytes          INTEGER NOT NULL DEFAULT 0,
    down_bytes        INTEGER NOT NULL DEFAULT 0,
    up_packets        INTEGER NOT NULL DEFAULT 0,
    down_packets      INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (day, service)
) STRICT, WITHOUT ROWID;

CREATE TABLE service_month (
    month             INTEGER NOT NULL,
    service           INTEGER NOT NULL,
    up_bytes          INTEGER NOT NULL DEFAULT 0,
    down_bytes        INTEGER NOT NULL DEFAULT 0,
    up_packets        INTEGER NOT NULL DEFAULT 0,
    down_packets      INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (month, service)
) STRICT, WITHOUT ROWID;

-- Destinations of days that are not over yet: what they are, and in parts what they moved.
CREATE TABLE destination (
    id        INTEGER PRIMARY KEY,
    day       INTEGER NOT NULL,
    device    INTEGER NOT NULL,
    remote    TEXT NOT NULL, -- '': all that are not among the largest
    protocol  INTEGER NOT NULL,
    port      INTEGER NOT NULL,
    inbound   INTEGER NOT NULL,
    lan       INTEGER NOT NULL, -- 1: its parts are what moved in the LAN; 0: they are not
    first     INTEGER NOT NULL
) STRICT;

CREATE TABLE destination_part (
    destination       INTEGER NOT NULL,
    up_bytes          INTEGER NOT NULL DEFAULT 0,
    down_bytes        INTEGER NOT NULL DEFAULT 0,
    up_packets        INTEGER NOT NULL DEFAULT 0,
    down_packets      INTEGER NOT NULL DEFAULT 0,
    up_contacts       INTEGER NOT NULL DEFAULT 0,
    down_contacts     INTEGER NOT NULL DEFAULT 0,
    last              INTEGER NOT NULL
) STRICT;

-- Destinations of days that are over: the largest, and one row for the rest.
CREATE TABLE destination_day (
    day               INTEGER NOT NULL,
    device            INTEGER NOT NULL,
    remote            TEXT NOT NULL,
    protocol          INTEGER NOT NULL,
    port              INTEGER NOT NULL,
    inbound           INTEGER NOT NULL,
    up_bytes          INTEGER NOT NULL DEFAULT 0,
    down_bytes        INTEGER NOT NULL DEFAULT 0,
    up_packets        INTEGER NOT NULL DEFAULT 0,
    down_packets      INTEGER NOT NULL DEFAULT 0,
    lan_up_bytes      INTEGER NOT NULL DEFAULT 0,
    lan_down_bytes    INTEGER NOT NULL DEFAULT 0,
    lan_up_packets    INTEGER NOT NULL DEFAULT 0,
    lan_down_packets  INTEGER NOT NULL DEFAULT 0,
    up_contacts       INTEGER NOT NULL DEFAULT 0,
    down_contacts     INTEGER NOT NULL DEFAULT 0,
    first             INTEGER NOT NULL,
    last              INTEGER NOT NULL,
    PRIMARY KEY (day, device, remote, protocol, port, inbound)
) STRICT, WITHOUT ROWID;

-- All of devices by day and by month: rows are not yet added up.
CREATE VIEW device_by_day AS
SELECT h.day AS day, u.device AS device,
       u.up_bytes, u.down_bytes, u.up_packets, u.down_packets,
       u.lan_up_bytes, u.lan_down_bytes, u.lan_up_packets, u.lan_down_packets
FROM device_hour u JOIN hour h ON h.hour = u.hour
UNION ALL
SELECT day, device,
       up_bytes, down_bytes, up_packets, down_packets,
       lan_up_bytes, lan_down_bytes, lan_up_packets, lan_down_packets
FROM device_day;

CREATE VIEW device_by_month AS
SELECT CAST(strftime('%Y', day * 86400, 'unixepoch') AS INTEGER) * 12 +
       CAST(strftime('%m', day * 86400, 'unixepoch') AS INTEGER) - 1 AS month, device,
       up_bytes, down_bytes, up_packets, down_packets,
       lan_up_bytes, lan_down_bytes, lan_up_packets, lan_down_packets
FROM device_by_day
UNION ALL
SELECT month, device,
       up_bytes, down_bytes, up_packets, down_packets,
       lan_up_bytes, lan_down_bytes, lan_up_packets, lan_down_packets
FROM device_month;

CREATE VIEW usage_by_device_hour AS
SELECT h.label AS hour, h.hour AS start, n.device AS device, n.name AS name,
       u.up_bytes, u.down_bytes, u.up_packets, u.down_packets,
       u.lan_up_bytes, u.lan_down_bytes, u.lan_up_packets, u.lan_down_packets
FROM device_hour u JOIN hour h ON h.hour = u.hour JOIN device n ON n.id = u.device;

CREATE VIEW usage_by_device_day AS
SELECT date(u.day * 86400, 'unixepoch') AS day, n.device AS device, n.name AS name,
       CAST(total(u.up_bytes) AS INTEGER) AS up_bytes,
       CAST(total(u.down_bytes) AS INTEGER) AS down_bytes,
       CAST(total(u.up_packets) AS INTEGER) AS up_packets,
       CAST(total(u.down_packets) AS INTEGER) AS down_packets,
       CAST(total(u.lan_up_bytes) AS INTEGER) AS lan_up_bytes,
       CAST(total(u.lan_down_bytes) AS INTEGER) AS lan_down_bytes,
       CAST(total(u.lan_up_packets) AS INTEGER) AS lan_up_packets,
       CAST(total(u.lan_down_packets) AS INTEGER) AS lan_down_packets
FROM device_by_day u JOIN device n ON n.id = u.device
GROUP BY u.day, u.device;

CREATE VIEW usage_by_device_month AS
SELECT printf('%04d-%02d', u.month / 12, u.month % 12 + 1) AS month,
       n.device AS device, n.name AS name,
       CAST(total(u.up_bytes) AS INTEGER) AS up_bytes,
       CAST(total(u.down_bytes) AS INTEGER) AS down_bytes,
       CAST(total(u.up_packets) AS INTEGER) AS up_packets,
       CAST(total(u.down_packets) AS INTEGER) AS down_packets,
       CAST(total(u.lan_up_bytes) AS INTEGER) AS lan_up_bytes,
       CAST(total(u.lan_down_bytes) AS INTEGER) AS lan_down_bytes,
       CAST(total(u.lan_up_packets) AS INTEGER) AS lan_up_packets,
       CAST(total(u.lan_down_packets) AS INTEGER) AS lan_down_packets
FROM device_by_month u JOIN device n ON n.id = u.device
GROUP BY u.month, u.device;

-- All of services by day and by month: rows are not yet added up.
CREATE VIEW service_by_day AS
SELECT h.day AS day, u.service AS service,
       u.up_bytes, u.down_bytes, u.up_packets, u.down_packets
FROM service_hour u JOIN hour h ON h.hour = u.hour
UNION ALL
SELECT day, service,
       up_bytes, down_bytes, up_packets, down_packets
FROM service_day;

CREATE VIEW service_by_month AS
SELECT CAST(strftime('%Y', day * 86400, 'unixepoch') AS INTEGER) * 12 +
       CAST(strftime('%m', day * 86400, 'unixepoch') AS INTEGER) - 1 AS month, service,
       up_bytes, down_bytes, up_packets, down_packets
FROM service_by_day
UNION ALL
SELECT month, service,
       up_bytes, down_bytes, up_packets, down_packets
FROM service_month;

CREATE VIEW usage_by_service_hour AS
SELECT h.label AS hour, h.hour AS start, n.unit AS unit,
       u.down_bytes AS in_bytes, u.up_bytes AS out_bytes,
       u.down_packets AS in_packets, u.up_packets AS out_packets
FROM service_hour u JOIN hour h ON h.hour = u.hour JOIN service n ON n.id = u.service;

CREATE VIEW usage_by_service_day AS
SELECT date(u.day * 86400, 'unixepoch') AS day, n.unit AS unit,
       CAST(total(u.down_bytes) AS INTEGER) AS in_bytes,
       CAST(total(u.up_bytes) AS INTEGER) AS out_bytes,
       CAST(total(u.down_packets) AS INTEGER) AS in_packets,
       CAST(total(u.up_packets) AS INTEGER) AS out_packets
FROM service_by_day u JOIN service n ON n.id = u.service
GROUP BY u.day, u.service;

CREATE VIEW usage_by_service_month AS
SELECT printf('%04d-%02d', u.month / 12, u.month % 12 + 1) AS month, n.unit AS unit,
       CAST(total(u.down_bytes) AS INTEGER) AS in_bytes,
       CAST(total(u.up_bytes) AS INTEGER) AS out_bytes,
       CAST(total(u.down_packets) AS INTEGER) AS in_packets,
       CAST(total(u.up_packets) AS INTEGER) AS out_packets
FROM service_by_month u JOIN service n ON n.id = u.service
GROUP BY u.month, u.service;

-- All of exporters by day and by month: rows are not yet added up.
CREATE VIEW exporter_by_day AS
SELECT h.day AS day, u.exporter AS exporter,
       u.datagrams, u.records, u.bytes, u.missing_records,
       u.missing_datagrams, u.unknown_sets, u.refused
FROM exporter_hour u JOIN hour h ON h.hour = u.hour
UNION ALL
SELECT day, exporter,
       datagrams, records, bytes, missing_records,
       missing_datagrams, unknown_sets, refused
FROM exporter_day;

CREATE VIEW exporter_by_month AS
SELECT CAST(strftime('%Y', day * 86400, 'unixepoch') AS INTEGER) * 12 +
       CAST(strftime('%m', day * 86400, 'unixepoch') AS INTEGER) - 1 AS month, exporter,
       datagrams, records, bytes, missing_records,
       missing_datagrams, unknown_sets, refused
FROM exporter_by_day
UNION ALL
SELECT month, exporter,
       datagrams, records, bytes, missing_records,
       missing_datagrams, unknown_sets, refused
FROM exporter_month;

CREATE VIEW usage_by_exporter_hour AS
SELECT h.label AS hour, h.hour AS start,
       n.address AS exporter, n.version AS version, n.domain AS domain,
       u.datagrams, u.records, u.bytes, u.missing_records,
       u.missing_datagrams, u.unknown_sets, u.refused
FROM exporter_hour u JOIN hour h ON h.hour = u.hour JOIN exporter n ON n.id = u.exporter;

CREATE VIEW usage_by_exporter_day AS
SELECT date(u.day * 86400, 'unixepoch') AS day,
       n.address AS exporter, n.version AS version, n.domain AS domain,
       CAST(total(u.datagrams) AS INTEGER) AS datagrams,
       CAST(total(u.records) AS INTEGER) AS records,
       CAST(total(u.bytes) AS INTEGER) AS bytes,
       CAST(total(u.missing_records) AS INTEGER) AS missing_records,
       CAST(total(u.missing_datagrams) AS INTEGER) AS missing_datagrams,
       CAST(total(u.unknown_sets) AS INTEGER) AS unknown_sets,
       CAST(total(u.refused) AS INTEGER) AS refused
FROM exporter_by_day u JOIN exporter n ON n.id = u.exporter
GROUP BY u.day, u.exporter;

CREATE VIEW usage_by_exporter_month AS
SELECT printf('%04d-%02d', u.month / 12, u.month % 12 + 1) AS month,
       n.address AS exporter, n.version AS version, n.domain AS domain,
       CAST(total(u.datagrams) AS INTEGER) AS datagrams,
       CAST(total(u.records) AS INTEGER) AS records,
       CAST(total(u.bytes) AS INTEGER) AS bytes,
       CAST(total(u.missing_records) AS INTEGER) AS missing_records,
       CAST(total(u.missing_datagrams) AS INTEGER) AS missing_datagrams,
       CAST(total(u.unknown_sets) AS INTEGER) AS unknown_sets,
       CAST(total(u.refused) AS INTEGER) AS refused
FROM exporter_by_month u JOIN exporter n ON n.id = u.exporter
GROUP BY u.month, u.exporter;

-- Destinations of all days, not yet added up.
CREATE VIEW destination_rows AS
SELECT d.day AS day, d.device AS device, d.remote AS remote,
       d.protocol AS protocol, d.port AS port, d.inbound AS inbound,
       iif(d.lan, 0, p.up_bytes) AS up_bytes,
       iif(d.lan, 0, p.down_bytes) AS down_bytes,
       iif(d.lan, 0, p.up_packets) AS up_packets,
       iif(d.lan, 0, p.down_packets) AS down_packets,
       iif(d.lan, p.up_bytes, 0) AS lan_up_bytes,
       iif(d.lan, p.down_bytes, 0) AS lan_down_bytes,
       iif(d.lan, p.up_packets, 0) AS lan_up_packets,
       iif(d.lan, p.down_packets, 0) AS lan_down_packets,
       p.up_contacts AS up_contacts, p.down_contacts AS down_contacts,
       d.first AS first, p.last AS last
FROM destination d JOIN destination_part p ON p.destination = d.id
UNION ALL
SELECT day, device, remote, protocol, port, inbound,
       up_bytes, down_bytes, up_packets, down_packets,
       lan_up_bytes, lan_down_bytes, lan_up_packets, lan_down_packets,
       up_contacts, down_contacts,
       first, last
FROM destination_day;

-- What devices moved on the days whose destinations are kept, without what is known of their
-- destinations: they are written less often than devices, and a crash may lose the latest.
CREATE VIEW destination_unknown AS
SELECT day, device,
       CAST(max(0, total(up_bytes)) AS INTEGER) AS up_bytes,
       CAST(max(0, total(down_bytes)) AS INTEGER) AS down_bytes,
       CAST(max(0, total(up_packets)) AS INTEGER) AS up_packets,
       CAST(max(0, total(down_packets)) AS INTEGER) AS down_packets,
       CAST(max(0, total(lan_up_bytes)) AS INTEGER) AS lan_up_bytes,
       CAST(max(0, total(lan_down_bytes)) AS INTEGER) AS lan_down_bytes,
       CAST(max(0, total(lan_up_packets)) AS INTEGER) AS lan_up_packets,
       CAST(max(0, total(lan_down_packets)) AS INTEGER) AS lan_down_packets
FROM (
    SELECT day, device,
           up_bytes, down_bytes, up_packets, down_packets,
           lan_up_bytes, lan_down_bytes, lan_up_packets, lan_down_packets
    FROM device_by_day WHERE day >= (
        SELECT min(day) FROM (SELECT min(day) AS day FROM destination_day
                              UNION ALL SELECT min(day) FROM destination))
    UNION ALL
    SELECT day, device,
           -up_bytes, -down_bytes, -up_packets, -down_packets,
           -lan_up_bytes, -lan_down_bytes, -lan_up_packets, -lan_down_packets
    FROM destination_rows
)
GROUP BY day, device
HAVING total(up_bytes) > 0 OR
       total(down_bytes) > 0 OR
       total(lan_up_bytes) > 0 OR
       total(lan_down_bytes) > 0;

CREATE VIEW usage_by_destination_day AS
SELECT date(u.day * 86400, 'unixepoch') AS day, n.device AS device, n.name AS name,
       u.remote AS remote, u.protocol AS protocol, u.port AS port, u.inbound AS inbound,
       CAST(total(u.up_bytes) AS INTEGER) AS up_bytes,
       CAST(total(u.down_bytes) AS INTEGER) AS down_bytes,
       CAST(total(u.up_packets) AS INTEGER) AS up_packets,
       CAST(total(u.down_packets) AS INTEGER) AS down_packets,
       CAST(total(u.lan_up_bytes) AS INTEGER) AS lan_up_bytes,
       CAST(total(u.lan_down_bytes) AS INTEGER) AS lan_down_bytes,
       CAST(total(u.lan_up_packets) AS INTEGER) AS lan_up_packets,
       CAST(total(u.lan_down_packets) AS INTEGER) AS lan_down_packets,
       CAST(max(total(u.up_contacts), total(u.down_contacts)) AS INTEGER) AS contacts,
       strftime('%Y-%m-%d %H:%M:%S', min(u.first), 'unixepoch', 'localtime') AS first_seen,
       strftime('%Y-%m-%d %H:%M:%S', max(u.last), 'unixepoch', 'localtime') AS last_seen
FROM (
    SELECT day, device, remote, protocol, port, inbound,
           up_bytes, down_bytes, up_packets, down_packets,
           lan_up_bytes, lan_down_bytes, lan_up_packets, lan_down_packets,
           up_contacts, down_contacts,
           first, last
    FROM destination_rows
    UNION ALL
    SELECT day, device, '', 0, 0, 0,
           up_bytes, down_bytes, up_packets, down_packets,
           lan_up_bytes, lan_down_bytes, lan_up_packets, lan_down_packets,
           0, 0, NULL, NULL
    FROM destination_unknown
) u JOIN device n ON n.id = u.device
GROUP BY u.day, u.device, u.remote, u.protocol, u.port, u.inbound;
