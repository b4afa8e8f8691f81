package decode

// A sequence follows the sequence number in a source's headers: data records before this message
// in IPFIX (RFC 7011, 3.1), datagrams in v9 (RFC 3954, 5.1). It counts modulo 2^32, so that half
// of the range is ahead and half behind.
type sequence struct {
	next  uint32 // expected of the next message
	known bool   // next is valid

	resume   uint32 // the end of the last message that was behind
	resuming bool   // resume is valid
}

// advance takes a message's number and how many units it has, and returns how many are missing
// before it. One from behind is late, or the first of an exporter that was restarted: the second
// message in a row that continues there decides. exact is false where units is not the whole
// count: then a gap before the next message isn't known.
func (s *sequence) advance(number, units uint32, exact bool) (missed uint32, late bool) {
	gap := number - s.next
	behind := gap >= 1<<31
	restarted := behind && s.resuming && number == s.resume
	switch {
	case !s.known, restarted:
	case behind:
		s.resume, s.resuming = number+units, exact
		return 0, true
	default:
		missed = gap
	}
	*s = sequence{next: number + units, known: exact}
	return missed, false
}

// A custom is whether an exporter's numbers count a message's own records, too, those of options left
// out: softflowd 1.1 does so, in IPFIX. A first message whose number is that of its records shows it,
// or two in a row that are explained in no other way.
type custom struct {
	countsItself bool
	hints        int
	last, units  uint32 // of the message before, if known
	known        bool
}

// observe takes a message's number, how many data records it has, and how many of them are of options.
// It reports whether the exporter's custom has changed.
func (c *custom) observe(number, units, options uint32) (changed bool) {
	before := c.countsItself
	own := units - options
	switch itself, others := number-c.last == own, number-c.last == c.units; {
	case !c.known:
		c.countsItself = own > 0 && number == own
	case others && !itself:
		c.countsItself, c.hints = false, 0
	case itself && !others:
		c.hints++
		c.countsItself = c.countsItself || c.hints > 1
	}
	c.last, c.units, c.known = number, units, true
	return c.countsItself != before
}
