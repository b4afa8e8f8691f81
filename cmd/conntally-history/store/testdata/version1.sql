PRAGMA application_id = 1668574329;
PRAGMA user_version = 1;
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE run (
    id       INTEGER PRIMARY KEY,
    started  INTEGER NOT NULL,
    updated  INTEGER NOT NULL, -- the last flush that wrote nothing about an exporter
    ended    INTEGER,          -- NULL: it runs
    crashed  INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO run VALUES(1,1795950000,1795950000,NULL,0);
CREATE TABLE setting (
    name   TEXT PRIMARY KEY,
    value  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO setting VALUES('journal_cursor','cursor 1000');
CREATE TABLE hour (
    hour   INTEGER PRIMARY KEY,
    day    INTEGER NOT NULL,
    label  TEXT NOT NULL -- local time
) STRICT;
INSERT INTO hour VALUES(1795863600,20785,'2026-11-28 12:00');
INSERT INTO hour VALUES(1795950000,20786,'2026-11-29 12:00');
INSERT INTO hour VALUES(1795953600,20786,'2026-11-29 13:00');
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
INSERT INTO counted VALUES(8369330978817,3,6,1,2,9,12,3,4);
INSERT INTO counted VALUES(8369330978818,21,42,1,2,63,84,3,4);
INSERT INTO counted VALUES(8369332027393,2,24,240,0,0,0,0,21474836501);
INSERT INTO counted VALUES(8369333075969,24,48,2,4,0,0,0,0);
INSERT INTO counted VALUES(8369733632001,4,8,1,2,12,16,3,4);
INSERT INTO counted VALUES(8369733632002,1031,2062,2,4,3093,4124,6,8);
INSERT INTO counted VALUES(8369734680577,3,1035,10350,0,0,0,0,21474837480);
INSERT INTO counted VALUES(8369735729153,1035,2070,3,6,0,0,0,0);
INSERT INTO counted VALUES(8369750409217,5,10,1,2,15,20,3,4);
INSERT INTO counted VALUES(8369750409218,41,82,1,2,123,164,3,4);
INSERT INTO counted VALUES(8369751457793,2,46,460,0,0,0,0,21474836521);
INSERT INTO counted VALUES(8369752506369,46,92,2,4,0,0,0,0);
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
INSERT INTO device VALUES(1,'02:00:00:00:00:01','name of 02:00:00:00:00:01','','','',1669719600,1795953600);
INSERT INTO device VALUES(2,'192.0.2.7','name of 192.0.2.7','','','',1669719600,1795953600);
CREATE TABLE exporter (
    id       INTEGER PRIMARY KEY,
    address  TEXT NOT NULL,
    version  INTEGER NOT NULL,
    domain   INTEGER NOT NULL,
    UNIQUE (address, version, domain)
) STRICT;
INSERT INTO exporter VALUES(1,'192.0.2.1',10,7);
CREATE TABLE service (
    id    INTEGER PRIMARY KEY,
    unit  TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO service VALUES(1,'ssh.service');
CREATE TABLE service_state (
    unit              TEXT NOT NULL,
    invocation        TEXT NOT NULL,
    up_bytes          INTEGER NOT NULL DEFAULT 0,
    down_bytes        INTEGER NOT NULL DEFAULT 0,
    up_packets        INTEGER NOT NULL DEFAULT 0,
    down_packets      INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (unit, invocation)
) STRICT, WITHOUT ROWID;
INSERT INTO service_state VALUES('ssh.service','0a',1000,2000,1,2);
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
INSERT INTO device_day VALUES(20716,1,2,4,1,2,6,8,3,4);
INSERT INTO device_day VALUES(20716,2,11,22,1,2,33,44,3,4);
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
INSERT INTO device_month VALUES(24274,1,1,2,1,2,3,4,3,4);
INSERT INTO device_month VALUES(24274,2,1,2,1,2,3,4,3,4);
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
INSERT INTO exporter_day VALUES(20716,1,2,13,130,0,0,0,0);
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
INSERT INTO exporter_month VALUES(24274,1,2,2,20,0,0,0,0);
CREATE TABLE service_day (
    day               INTEGER NOT NULL,
    service           INTEGER NOT NULL,
    up_bytes          INTEGER NOT NULL DEFAULT 0,
    down_bytes        INTEGER NOT NULL DEFAULT 0,
    up_packets        INTEGER NOT NULL DEFAULT 0,
    down_packets      INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (day, service)
) STRICT, WITHOUT ROWID;
INSERT INTO service_day VALUES(20716,1,13,26,2,4);
CREATE TABLE service_month (
    month             INTEGER NOT NULL,
    service           INTEGER NOT NULL,
    up_bytes          INTEGER NOT NULL DEFAULT 0,
    down_bytes        INTEGER NOT NULL DEFAULT 0,
    up_packets        INTEGER NOT NULL DEFAULT 0,
    down_packets      INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (month, service)
) STRICT, WITHOUT ROWID;
INSERT INTO service_month VALUES(24274,1,2,4,2,4);
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
INSERT INTO destination VALUES(13,20786,1,'198.51.100.1',6,443,0,0,1795950000);
INSERT INTO destination VALUES(14,20786,1,'198.51.100.1',6,22,1,1,1795950000);
INSERT INTO destination VALUES(15,20786,2,'198.51.100.1',6,443,0,0,1795950000);
INSERT INTO destination VALUES(16,20786,2,'198.51.100.1',6,22,1,1,1795950000);
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
INSERT INTO destination_part VALUES(13,4,8,1,2,1,2,1795950001);
INSERT INTO destination_part VALUES(14,12,16,3,4,3,0,1795950000);
INSERT INTO destination_part VALUES(15,31,62,1,2,1,2,1795950001);
INSERT INTO destination_part VALUES(16,93,124,3,4,3,0,1795950000);
INSERT INTO destination_part VALUES(13,5,10,1,2,1,2,1795953601);
INSERT INTO destination_part VALUES(14,15,20,3,4,3,0,1795953600);
INSERT INTO destination_part VALUES(15,41,82,1,2,1,2,1795953601);
INSERT INTO destination_part VALUES(16,123,164,3,4,3,0,1795953600);
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
INSERT INTO destination_day VALUES(20716,1,'198.51.100.1',6,22,1,0,0,0,0,6,8,3,4,3,0,1789902000,1789902000);
INSERT INTO destination_day VALUES(20716,1,'198.51.100.1',6,443,0,2,4,1,2,0,0,0,0,1,2,1789902000,1789902001);
INSERT INTO destination_day VALUES(20716,2,'198.51.100.1',6,22,1,0,0,0,0,33,44,3,4,3,0,1789902000,1789902000);
INSERT INTO destination_day VALUES(20716,2,'198.51.100.1',6,443,0,11,22,1,2,0,0,0,0,1,2,1789902000,1789902001);
INSERT INTO destination_day VALUES(20785,1,'198.51.100.1',6,22,1,0,0,0,0,9,12,3,4,3,0,1795863600,1795863600);
INSERT INTO destination_day VALUES(20785,1,'198.51.100.1',6,443,0,3,6,1,2,0,0,0,0,1,2,1795863600,1795863601);
INSERT INTO destination_day VALUES(20785,2,'198.51.100.1',6,22,1,0,0,0,0,63,84,3,4,3,0,1795863600,1795863600);
INSERT INTO destination_day VALUES(20785,2,'198.51.100.1',6,443,0,21,42,1,2,0,0,0,0,1,2,1795863600,1795863601);
CREATE VIEW device_hour AS
SELECT id, (id >> 22) * 900 AS hour, id & 0xfffff AS device,
       a AS up_bytes, b AS down_bytes, c AS up_packets, d AS down_packets,
       e AS lan_up_bytes, f AS lan_down_bytes, g AS lan_up_packets, h AS lan_down_packets
FROM counted WHERE (id >> 20) & 3 = 0;
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
COMMIT;
