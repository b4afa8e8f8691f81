package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/cmd/conntally/demo"
	"github.com/conntally/conntally/cmd/conntally/print"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/export/decode"
)

// printFlows prints flows in the order of their start, in aligned columns.
func printFlows(w io.Writer, flows []decode.Flow) {
	slices.SortStableFunc(flows, func(a, b decode.Flow) int { return a.Start.Compare(b.Start) })
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	header := print.Header()
	line := strings.Repeat("%s\t", len(header)-1) + "%s\n"
	fmt.Fprintf(tw, line, header...)
	for i := range flows {
		fmt.Fprintf(tw, line, print.Columns(&flows[i])...)
	}
	tw.Flush()
}

// errTotalsDiffer is the demonstration's failure.
var errTotalsDiffer = errors.New("the totals differ")

// compare prints the totals by protocol and returns errTotalsDiffer unless all agree.
func (d *demonstration) compare(ctx context.Context, stdout io.Writer, flows []decode.Flow) error {
	forwarded, err := d.router.Settle(ctx)
	if err != nil {
		return demo.Explain(ctx, err)
	}
	sent, err := d.router.Sent()
	if err != nil {
		return err
	}
	exported := sumFlows(flows)
	generated := d.router.Generated()

	tw := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(tw, "\n\tSENT BY THE HOSTS\t\tnftables ON THE ROUTER\t\tEXPORTED FLOWS\t\t\t\n")
	fmt.Fprint(tw, "\tpackets\tbytes\tpackets\tbytes\tpackets\tbytes\t\t\n")
	differ := false
	for _, class := range demo.Classes(forwarded) {
		s, f, x := sent[class], forwarded[class], exported[class]
		verdict := "equal"
		if s != f || f != x || !agrees(class, generated[class], s) {
			verdict, differ = "DIFFERENT", true
		}
		fmt.Fprintf(tw, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t\n", demo.ClassName(class),
			s.Packets, s.Bytes, f.Packets, f.Bytes, x.Packets, x.Bytes, verdict)
	}
	tw.Flush()
	if differ {
		return errTotalsDiffer
	}
	fmt.Fprintln(stdout, "\nEvery packet and byte is accounted for.")
	return nil
}

// agrees compares the generator's own count with what the hosts sent. Of TCP it counts
// the payload only.
func agrees(c lab.Class, generated, sent lab.Count) bool {
	if c.Proto == conntrack.ProtoTCP {
		return generated.Bytes <= sent.Bytes
	}
	return generated == sent
}

func sumFlows(flows []decode.Flow) map[lab.Class]lab.Count {
	sums := map[lab.Class]lab.Count{}
	for i := range flows {
		f := &flows[i]
		class := lab.Class{Family: unix.AF_INET, Proto: f.Protocol}
		if f.Src.Is6() {
			class.Family = unix.AF_INET6
		}
		sum := sums[class]
		sum.Packets += f.Packets
		sum.Bytes += f.Bytes
		sums[class] = sum
	}
	return sums
}
