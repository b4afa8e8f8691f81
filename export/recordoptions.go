package export

// RecordOptions is what is exported only where it is asked for.
type RecordOptions struct {
	Biflow    bool // one record for both directions (RFC 5103); IPFIX alone can
	NATEvents bool // records of translations that begin and end (RFC 8158)
	FlowID    bool // IPFIX alone: to nfdump, the element means something else in v9
	VLAN      bool
	MAC       bool
	Zone      bool
}

// of returns what of it p can say.
func (o RecordOptions) of(p Protocol) RecordOptions {
	if p == NetFlow9 {
		o.Biflow, o.FlowID = false, false
	}
	return o
}

// fields are those at the end of each flow record.
func (o RecordOptions) fields() (all []field) {
	if o.FlowID {
		all = append(all, field{element{148, 8, "flowId"}, flowID})
	}
	if o.VLAN {
		all = append(all,
			field{element{58, 2, "vlanId"}, inputVLAN},
			field{element{59, 2, "postVlanId"}, outputVLAN})
	}
	if o.MAC {
		all = append(all,
			field{element{56, 6, "sourceMacAddress"}, srcMAC},
			field{element{57, 6, "postDestinationMacAddress"}, dstMAC})
	}
	if o.Zone {
		all = append(all,
			field{element{234, 4, "ingressVRFID"}, inputZone},
			field{element{235, 4, "egressVRFID"}, outputZone})
	}
	return all
}
