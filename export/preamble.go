package export

// preamble is what a collector needs before data: all templates, and the option
// data that never changes. It is the same each time, so it is made once.
type preamble struct {
	sets      []byte
	templates int // template and options template records
	data      int // option data records
}

func newPreamble(p Protocol, domain uint32, flows []template) preamble {
	var pre preamble
	set := openSet(&pre.sets, p.templateSet())
	for i := range flows {
		pre.sets = flows[i].append(pre.sets)
		pre.templates++
	}
	closeSet(&pre.sets, set)

	// nfdump reads only the first options template of a set.
	rate := sampling(p)
	set = openSet(&pre.sets, p.optionsTemplateSet())
	pre.sets = rate.append(pre.sets, p)
	pre.templates++
	closeSet(&pre.sets, set)

	set = openSet(&pre.sets, rate.id)
	pre.sets = be.AppendUint32(pre.sets, domain)
	pre.sets = be.AppendUint32(pre.sets, 1) // every packet is counted
	pre.data++
	closeSet(&pre.sets, set)
	return pre
}

// setHeaderLen is the length of a set's id and length.
const setHeaderLen = 4

// openSet begins a set and returns where it begins.
func openSet(b *[]byte, id uint16) int {
	at := len(*b)
	*b = be.AppendUint32(*b, uint32(id)<<16)
	return at
}

// closeSet pads the set that begins at to whole words and fills in its length.
func closeSet(b *[]byte, at int) {
	for len(*b)%4 != 0 {
		*b = append(*b, 0)
	}
	be.PutUint16((*b)[at+2:], uint16(len(*b)-at))
}
