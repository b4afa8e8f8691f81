// Package logging writes the log for its reader: a person at a terminal, the systemd
// journal, or a program.
//
//	zap entries -> limit (counts repeats) -> console | journald | JSON
package logging

import (
	"io"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// New returns a logger that writes lines of at least level to w. Repeated lines are counted
// instead of written; Sync writes the counts.
func New(w io.Writer, format Format, level zapcore.LevelEnabler) *zap.Logger {
	core := zapcore.NewCore(encoder(w, format), zapcore.Lock(zapcore.AddSync(w)), level)
	return zap.New(limit(core))
}

// encoder returns the encoder of a format. It resolves FormatAuto by the reader of w.
func encoder(w io.Writer, format Format) zapcore.Encoder {
	if format == FormatAuto {
		format = FormatConsole
		if journalReads(w) {
			format = FormatJournald
		}
	}
	switch format {
	case FormatJSON:
		return newJSON()
	case FormatJournald:
		return newJournald()
	}
	return newConsole(isTerminal(w))
}

// newConsole returns an encoder for people. On a terminal it leaves out the date.
func newConsole(terminal bool) zapcore.Encoder {
	c := zap.NewProductionEncoderConfig()
	c.EncodeTime = zapcore.TimeEncoderOfLayout(time.DateTime)
	if terminal {
		c.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
	}
	c.EncodeLevel = zapcore.CapitalLevelEncoder
	c.EncodeDuration = zapcore.StringDurationEncoder
	c.ConsoleSeparator = "  "
	return zapcore.NewConsoleEncoder(c)
}

func newJSON() zapcore.Encoder {
	c := zap.NewProductionEncoderConfig()
	c.TimeKey = "time"
	c.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	c.EncodeDuration = zapcore.StringDurationEncoder
	return zapcore.NewJSONEncoder(c)
}
