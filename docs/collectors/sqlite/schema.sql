-- With a write-ahead log, who reads keeps nobody from writing.
.output /dev/null
PRAGMA journal_mode = WAL;
.output

-- A row for each record of each router, as nfacctd writes it with nfacctd.conf beside this file, and
-- as load reads it from goflow2. Times are local.
CREATE TABLE flows (
  peer_ip_src        TEXT NOT NULL, -- the router
  ip_src             TEXT NOT NULL,
  ip_dst             TEXT NOT NULL,
  port_src           INTEGER NOT NULL,
  port_dst           INTEGER NOT NULL,
  ip_proto           TEXT NOT NULL,
  iface_in           INTEGER NOT NULL,
  iface_out          INTEGER NOT NULL,
  sampling_direction TEXT NOT NULL, -- e: leaves by an uplink
  timestamp_start    TEXT NOT NULL, -- when the record's first packet passed
  packets            INTEGER NOT NULL,
  bytes              INTEGER NOT NULL,
  stamp_inserted     TEXT, -- nfacctd's own
  stamp_updated      TEXT
);
CREATE INDEX flows_by_start ON flows (timestamp_start);

-- What leaves by an interface makes that an uplink.
CREATE VIEW uplinks AS
  SELECT DISTINCT peer_ip_src, iface_out AS iface FROM flows WHERE sampling_direction = 'e';

-- What each host moved to and from the uplinks. A record counts whole where it begins.
CREATE VIEW host_records AS
  SELECT timestamp_start, ip_src AS host, bytes AS up, 0 AS down
    FROM flows WHERE sampling_direction = 'e'
  UNION ALL
  SELECT timestamp_start, ip_dst, 0, bytes
    FROM flows WHERE (peer_ip_src, iface_in) IN (SELECT peer_ip_src, iface FROM uplinks);

CREATE VIEW host_days AS
  SELECT date(timestamp_start) AS day, host, sum(up) AS up, sum(down) AS down
    FROM host_records GROUP BY 1, 2;

CREATE VIEW host_months AS
  SELECT strftime('%Y-%m', timestamp_start) AS month, host, sum(up) AS up, sum(down) AS down
    FROM host_records GROUP BY 1, 2;
