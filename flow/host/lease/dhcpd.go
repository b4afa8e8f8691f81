package lease

import "time"

// dhcpd reads the log of ISC's DHCP server, for IPv4 and IPv6. The last block of an address
// counts.
//
//	lease 192.0.2.10 {
//	  ends 0 2026/11/29 20:00:00;
//	  binding state active;
//	  hardware ethernet 02:00:00:00:00:01;
//	  uid "\001\002}";
//	  client-hostname "laptop";
//	}
//	ia-na "..." {
//	  iaaddr 2001:db8::10 {
//	    binding state active;
//	    ends 0 2026/11/29 20:00:00;
//	    set ddns-fwd-name = "laptop.example.org";
//	  }
//	}
func dhcpd(b []byte, c *collector) error {
	p := dhcpdParser{in: dhcpdScanner{rest: b, line: 1}, out: c}
	for {
		t, ok := p.in.next()
		switch {
		case !ok && (p.in.torn || p.depth > 0 || len(p.statement) > 0):
			return ErrIncomplete
		case !ok:
			return nil
		case t.text == "{" && !t.quoted:
			p.open()
		case t.text == "}" && !t.quoted:
			p.close()
		case t.text == ";" && !t.quoted:
			p.end()
		case len(p.statement) < mostTokens:
			p.statement = append(p.statement, t.text)
		}
	}
}

// mostTokens is how many tokens of a statement are kept. Those that matter here have four.
const mostTokens = 8

// dhcpdParser builds leases from statements.
type dhcpdParser struct {
	in        dhcpdScanner
	out       *collector
	statement []string // its tokens so far
	depth     int      // of blocks
	inIA      bool     // in a block of IPv6 addresses
	inLease   int      // the depth at which the present lease began; 0: none
	bad       bool     // the present lease has no address
	lease     Lease
	forward   string // its name in the DNS
}

// word returns a token of the present statement.
func (p *dhcpdParser) word(i int) string {
	if i >= len(p.statement) {
		return ""
	}
	return p.statement[i]
}

// open begins a block.
func (p *dhcpdParser) open() {
	p.depth++
	kind := p.word(0)
	switch {
	case p.depth == 1 && (kind == "ia-na" || kind == "ia-ta"):
		p.inIA = true
	case p.depth == 1 && kind == "lease", p.depth == 2 && p.inIA && kind == "iaaddr":
		p.inLease, p.forward = p.depth, ""
		p.lease = Lease{Until: Forever}
		var ok bool
		p.lease.Addr, ok = parseAddr([]byte(p.word(1)))
		p.bad = !ok
	}
	p.statement = p.statement[:0]
}

// close ends a block.
func (p *dhcpdParser) close() {
	p.statement = p.statement[:0]
	switch p.depth {
	case 0:
		p.out.skip(p.in.line)
		return
	case p.inLease:
		p.finish()
	case 1:
		p.inIA = false
	}
	p.depth--
}

func (p *dhcpdParser) finish() {
	p.out.entries++
	p.inLease = 0
	if p.bad {
		p.out.skip(p.in.line)
		return
	}
	if p.lease.Name == "" {
		p.lease.Name = p.forward
	}
	p.out.add(p.lease)
}

// end ends a statement.
func (p *dhcpdParser) end() {
	if p.inLease > 0 && p.depth == p.inLease {
		switch p.word(0) {
		case "binding":
			if p.word(2) != "active" {
				p.lease.Until = 0
			}
		case "ends":
			p.setEnd()
		case "hardware":
			if p.word(1) == "ethernet" {
				p.lease.MAC, _ = ParseMAC(p.word(2))
			}
		case "client-hostname":
			p.lease.Name = p.word(1)
		case "set":
			if p.word(1) == "ddns-fwd-name" {
				p.forward = p.word(3)
			}
		}
	}
	p.statement = p.statement[:0]
}

// setEnd applies "ends never", "ends 0 2026/11/29 20:00:00", in UTC, or "ends epoch N".
func (p *dhcpdParser) setEnd() {
	if p.lease.Until == 0 { // the binding state has ended it already
		return
	}
	if p.word(1) == "epoch" {
		if at, ok := seconds([]byte(p.word(2))); ok {
			p.lease.Until = at
		}
		return
	}
	at, err := time.Parse("2006/01/02 15:04:05", p.word(2)+" "+p.word(3))
	if err == nil {
		p.lease.Until = max(at.Unix(), 0)
	}
}
