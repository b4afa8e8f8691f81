package flow

// Interface is one of the router's network interfaces, to which Hops and Records
// refer by its ifIndex.
type Interface struct {
	Index       uint32
	Name        string
	Description string
	VLAN        uint16 // the id of a VLAN interface, else 0
}
