package decode

import "time"

const (
	lastMillisecond = 253402300799999 // of the year 9999, the last that RFC 3339 can write
	ntpToUnix       = 2208988800      // seconds from 1900 to 1970
	uptimeSkew      = 3600 * 1000     // ms by which a flow may be ahead of its header's uptime
)

// A clock turns a record's times into UTC.
type clock struct {
	header     header
	systemInit uint64 // ms since 1970, for IPFIX with times since start-up; 0 = not known
}

// timeElements are the forms in which a flow's start or end comes.
type timeElements struct {
	milliseconds, upTime, seconds, microseconds, nanoseconds uint16
}

func (c clock) start(e elements) time.Time {
	return c.time(e, timeElements{
		flowStartMilliseconds, flowStartSysUpTime, flowStartSeconds, flowStartMicroseconds,
		flowStartNanoseconds,
	})
}

func (c clock) end(e elements) time.Time {
	return c.time(e, timeElements{
		flowEndMilliseconds, flowEndSysUpTime, flowEndSeconds, flowEndMicroseconds,
		flowEndNanoseconds,
	})
}

func (c clock) time(e elements, ids timeElements) time.Time {
	if n, ok := e.number(ids.milliseconds); ok {
		return utc(n)
	}
	if n, ok := e.number(ids.upTime); ok {
		return c.sinceStart(uint32(n))
	}
	if n, ok := e.number(ids.seconds); ok {
		return utc(uint64(uint32(n)) * 1000)
	}
	if n, ok := e.number(ids.microseconds, ids.nanoseconds); ok {
		return ntp(n)
	}
	return time.Time{}
}

// sinceStart takes ms since the exporter started: v9 says in the header when that was, IPFIX in an
// option record (160). The v9 uptime wraps after 49.7 days, so a flow's age is taken modulo 2^32.
func (c clock) sinceStart(ms uint32) time.Time {
	if c.header.version == versionIPFIX {
		if c.systemInit == 0 {
			return time.Time{}
		}
		return utc(min(c.systemInit, lastMillisecond) + uint64(ms))
	}
	age := int64(c.header.uptime - ms)
	if age > 1<<32-uptimeSkew {
		age -= 1 << 32
	}
	return time.UnixMilli(int64(c.header.exported)*1000 - age).UTC()
}

// utc takes ms since 1970.
func utc(ms uint64) time.Time {
	if ms > lastMillisecond {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}

// ntp takes an NTP timestamp, seconds since 1900 and a binary fraction (RFC 7011, 6.1.9 and
// 6.1.10).
func ntp(stamp uint64) time.Time {
	seconds, fraction := int64(stamp>>32), int64(stamp&0xffffffff)
	return time.UnixMilli((seconds-ntpToUnix)*1000 + fraction*1000>>32).UTC()
}
