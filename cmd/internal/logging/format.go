package logging

import "errors"

// Format is the format of the log. The zero value is FormatAuto.
type Format uint8

// The formats of the log.
const (
	FormatAuto Format = iota // FormatJournald if the journal reads the output, else FormatConsole
	FormatConsole
	FormatJournald
	FormatJSON
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (f *Format) UnmarshalText(b []byte) error {
	switch string(b) {
	case "auto":
		*f = FormatAuto
	case "console":
		*f = FormatConsole
	case "journald":
		*f = FormatJournald
	case "json":
		*f = FormatJSON
	default:
		return errors.New(`want "auto", "console", "journald" or "json"`)
	}
	return nil
}
