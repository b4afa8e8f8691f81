package flow

import "github.com/conntally/conntally/conntrack"

// skips tells which connections never make a flow: what a host says to itself,
// and what the options leave out.
func (t *Table) skips(orig *conntrack.Tuple) bool {
	if orig.Src == orig.Dst || orig.Src.IsLoopback() || orig.Dst.IsLoopback() {
		return true
	}
	return t.options.Skip != nil && t.options.Skip(orig)
}
