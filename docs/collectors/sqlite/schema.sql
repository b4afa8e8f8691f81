-- What nfacctd.conf beside this file writes: a row for each record of each router.
CREATE TABLE flows (
  peer_ip_src    TEXT NOT NULL, -- the router
  ip_src         TEXT NOT NULL,
  ip_dst         TEXT NOT NULL,
  port_src       INTEGER NOT NULL,
  port_dst       INTEGER NOT NULL,
  ip_proto       TEXT NOT NULL,
  iface_in       INTEGER NOT NULL,
  iface_out      INTEGER NOT NULL,
  packets        INTEGER NOT NULL,
  bytes          INTEGER NOT NULL,
  stamp_inserted TEXT NOT NULL, -- the minute, local time
  stamp_updated  TEXT
);
CREATE INDEX flows_by_time ON flows (stamp_inserted);
