-- What goflow2 writes to Kafka, each flow for 90 days, and what each host moved, by hour, for three
-- years.
CREATE TABLE queue (
  time_flow_start_ns UInt64, time_flow_end_ns UInt64, sampler_address String,
  src_addr String, dst_addr String, src_port UInt16, dst_port UInt16, proto String,
  in_if UInt32, out_if UInt32, bytes UInt64, packets UInt64, flow_direction UInt8,
  nat_src_addr String, nat_dst_addr String, nat_src_port UInt16, nat_dst_port UInt16
) ENGINE = Kafka SETTINGS kafka_broker_list = 'kafka:9092', kafka_topic_list = 'flows',
  kafka_group_name = 'clickhouse', kafka_format = 'JSONEachRow',
  input_format_skip_unknown_fields = 1;

CREATE TABLE flows (
  start DateTime64(3), stop DateTime64(3), exporter LowCardinality(String),
  src String, dst String, src_port UInt16, dst_port UInt16, proto LowCardinality(String),
  in_if UInt32, out_if UInt32, bytes UInt64, packets UInt64,
  egress Bool, -- it leaves by an uplink
  nat_src String, nat_dst String, nat_src_port UInt16, nat_dst_port UInt16
) ENGINE = MergeTree PARTITION BY toDate(start) ORDER BY (exporter, start)
  TTL toDateTime(start) + INTERVAL 90 DAY;

CREATE MATERIALIZED VIEW queue_to_flows TO flows AS
SELECT fromUnixTimestamp64Nano(toInt64(time_flow_start_ns)) AS start,
       fromUnixTimestamp64Nano(toInt64(time_flow_end_ns)) AS stop, sampler_address AS exporter,
       src_addr AS src, dst_addr AS dst, src_port, dst_port, proto, in_if, out_if, bytes, packets,
       flow_direction = 1 AS egress, nat_src_addr AS nat_src, nat_dst_addr AS nat_dst,
       nat_src_port, nat_dst_port
FROM queue;

CREATE TABLE hours (
  hour DateTime, exporter LowCardinality(String), src String, dst String, egress Bool,
  bytes UInt64, packets UInt64
) ENGINE = SummingMergeTree ORDER BY (exporter, hour, src, dst, egress)
  TTL hour + INTERVAL 3 YEAR;

CREATE MATERIALIZED VIEW flows_to_hours TO hours AS
SELECT toStartOfHour(start) AS hour, exporter, src, dst, egress, sum(bytes) AS bytes,
       sum(packets) AS packets
FROM flows GROUP BY hour, exporter, src, dst, egress;
