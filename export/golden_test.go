package export

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

var update = flag.Bool("update", false, "rewrite testdata and docs/fields.md")

const goldenDomain = 7

// The numbers of records among templates without interfaces.
const optionRecords, optionTemplates = 2, 3

// goldenTemplates returns the templates in the first message of an exporter.
func goldenTemplates(e *Encoder) []byte {
	e.AddTemplates(present)
	return slices.Clone(e.Finish(present))
}

// goldenRecord returns a message of one record that follows the templates.
func goldenRecord(p Protocol, kind int) []byte {
	e := NewEncoder(p, goldenDomain, DefaultMessageSize, RecordOptions{})
	goldenTemplates(e)
	r := sample(kind, present)
	e.Add(&r, present)
	return slices.Clone(e.Finish(present))
}

func goldenPath(p Protocol, name string) string {
	return filepath.Join("testdata", p.String()+"-"+name+".hex")
}

// golden compares got with a file of testdata, and returns what the file holds.
func golden(t *testing.T, p Protocol, o RecordOptions, name string, got []byte) []byte {
	t.Helper()
	path := goldenPath(p, name)
	if *update {
		if err := os.WriteFile(path, []byte(dumpMessage(p, o, got)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := readHex(t, path)
	if !bytes.Equal(got, want) {
		t.Errorf("the message is no longer that of %s. It is:\n%s", path, dumpMessage(p, o, got))
	}
	return want
}

// TestGolden compares the bytes of each kind of record, and what other decoders find in them.
func TestGolden(t *testing.T) {
	for _, p := range protocols {
		first := golden(t, p, RecordOptions{}, "templates",
			goldenTemplates(NewEncoder(p, goldenDomain, DefaultMessageSize, RecordOptions{})))
		for kind := range templateCount {
			name := fmt.Sprint(firstTemplate + kind)
			t.Run(p.String()+"-"+name, func(t *testing.T) {
				data := golden(t, p, RecordOptions{}, name, goldenRecord(p, kind))
				checkDecoders(t, p, kind, first, data)
			})
		}
	}
}

// TestGoldenOption proves that goflow2 and package decode read the sampling rate.
func TestGoldenOption(t *testing.T) {
	for _, p := range protocols {
		t.Run(p.String(), func(t *testing.T) {
			first := readHex(t, goldenPath(p, "templates"))
			scope, rate := goflowOption(t, first)
			if scope != goldenDomain || rate != 1 {
				t.Errorf("goflow2 reads scope %d, interval %d", scope, rate)
			}
			m := decodeAll(t, [][]byte{first})[0]
			if m.SamplingInterval != 1 || m.OptionRecords != optionRecords ||
				m.Templates != templateCount+optionTemplates {
				t.Errorf("we read interval %d, %d option records, %d templates",
					m.SamplingInterval, m.OptionRecords, m.Templates)
			}
		})
	}
}
