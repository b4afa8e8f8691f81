# Alert rules for devices, as docs/monitoring/alerts-devices.yml has them; a test compares
# the two. What is null or empty has no rule.
{
  uploadBitsPerSecond ? null,
  downloadBitsPerSecond ? null,
  newDevices ? false,
  offlineDevices ? false,
  alwaysOn ? [ ],
  quotaBytes ? null,
  deviceQuotaBytes ? null,
  deviceQuotas ? { },
  billingDay ? 1,
}:
let
  inherit (builtins)
    attrNames
    attrValues
    concatStringsSep
    mapAttrs
    replaceStrings
    toString
    ;

  when = condition: rule: if condition then [ rule ] else [ ];

  rule =
    alert: severity: summary: rest:
    {
      inherit alert;
      labels = {
        inherit severity;
      }
      // rest.labels or { };
      annotations.summary = "{{ $labels.instance }}: ${summary}";
    }
    // removeAttrs rest [ "labels" ];

  device = ''{{ or $labels.name "a device" }} ({{ $labels.device }})'';
  amount = "{{ $value | humanize }}";
  real = ''{device!~"router|other"}'';

  hog =
    direction: counter: limit:
    when (limit != null) (
      rule "ConntallyBandwidthHog" "warning" "${device} ${direction}s ${amount}bit/s" {
        expr = ''rate(conntally_device_${counter}_bytes_total{scope="wan"}[5m]) * 8 > ${toString limit}'';
        for = "10m";
        labels = { inherit direction; };
      }
    );

  missing =
    names:
    rule "ConntallyDeviceMissing" "critical" "${device} is offline" {
      expr = ''conntally_device_online{name=~"${concatStringsSep "|" (map literal names)}"} == 0'';
      for = "5m";
    };

  # In a regular expression, within a string of PromQL.
  literal = replaceStrings [ "." ] [ "\\\\." ];

  # The sum of the hours that end in this month, which begins on the billing day.
  thisMonth =
    record:
    let
      moment = "month(vector(time() - ${toString (86400 * (billingDay - 1) + 1)})";
    in
    "sum_over_time((${record} and on () ${moment}) == scalar(${
      replaceStrings [ "month(" ] [ "month(last_over_time(" ] moment
    }[1m:1s] @ end()))))[31d:1h])";

  named = "* on (instance, device) group_left (name) conntally_device_info";

  others =
    if deviceQuotas == { } then
      ""
    else
      ''{name!~"${concatStringsSep "|" (map literal (attrNames deviceQuotas))}"}'';

  deviceQuota =
    labels: bytes:
    rule "ConntallyDeviceQuota" "warning" "${device} has moved ${amount}B this month" {
      expr = "${thisMonth "conntally:device_wan_bytes:increase1h"} ${named}${labels} > ${toString bytes}";
    };
in
{
  groups = [
    {
      name = "conntally-devices";
      rules =
        hog "upload" "transmit" uploadBitsPerSecond
        ++ hog "download" "receive" downloadBitsPerSecond
        ++ when newDevices (
          rule "ConntallyNewDevice" "info" "new device ${device}" {
            expr = "time() - conntally_device_first_seen_timestamp_seconds${real} < 3600 and on (instance) time() - min by (instance) (conntally_device_first_seen_timestamp_seconds > 0) > 86400";
          }
        )
        ++ when offlineDevices (
          rule "ConntallyDeviceOffline" "warning" "${device} is offline" {
            expr = "conntally_device_online${real} == 0 and conntally_device_online offset 1d == 1 and avg_over_time(conntally_device_online[1d]) > 0.9";
            for = "5m";
          }
        )
        ++ when (alwaysOn != [ ]) (missing alwaysOn)
        ++ when (quotaBytes != null) {
          record = "conntally:uplink_bytes:increase1h";
          expr = ''sum without (direction) (increase(conntally_traffic_bytes_total{direction=~"upload|download"}[1h]))'';
        }
        ++ when (deviceQuotaBytes != null || deviceQuotas != { }) {
          record = "conntally:device_wan_bytes:increase1h";
          expr = ''sum without (name, scope) (increase(conntally_device_receive_bytes_total{scope="wan"}[1h]) + increase(conntally_device_transmit_bytes_total{scope="wan"}[1h]))'';
        }
        ++ when (quotaBytes != null) (
          rule "ConntallyUplinkQuota" "warning" "the uplink has moved ${amount}B this month" {
            expr = "${thisMonth "conntally:uplink_bytes:increase1h"} > ${toString quotaBytes}";
          }
        )
        ++ when (deviceQuotaBytes != null) (deviceQuota others deviceQuotaBytes)
        ++ attrValues (mapAttrs (name: deviceQuota ''{name="${name}"}'') deviceQuotas);
    }
  ];
}
