package export

// RecordOptions selects records and fields that are exported only on request.
type RecordOptions struct {
	Biflow    bool // one record for both directions (RFC 5103); IPFIX only
	NATEvents bool // records of translations that begin or end (RFC 8158)
	FlowID    bool // IPFIX only: nfdump takes the element for another one in v9
	VLAN      bool
	MAC       bool
	Zone      bool
	Mark      bool // IPFIX only: the element is an enterprise's
}

// supportedBy returns the options that p supports.
func (o RecordOptions) supportedBy(p Protocol) RecordOptions {
	if p == NetFlow9 {
		o.Biflow, o.FlowID, o.Mark = false, false, false
	}
	return o
}

// fields returns the fields at the end of each flow record.
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
	if o.Mark {
		all = append(all, field{element{pmacctTag, 8, "tag"}, connMark})
	}
	return all
}
