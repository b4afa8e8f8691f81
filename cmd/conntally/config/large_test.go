package config

import (
	"strings"
	"testing"
)

// Files of the greatest size are read in one go, whatever is in them: what takes
// longer with the square of the size would not come to an end here.
func TestLargeFiles(t *testing.T) {
	for name, line := range map[string]string{
		"unknown keys":   "x=1\n",
		"unknown tables": "[x]\n",
		"same table":     "[log]\n",
		"no collectors":  "[[collector]]\n",
		"same collector": "[[collector]]\naddress='a:1'\n",
		"no filters":     "[[filter]]\n",
		"lines":          "\n",
		"comments":       "#\n",
		"dotted":         "log.level='warn'\n",
	} {
		text := strings.Repeat(line, maxFile/len(line))
		err := Default().parse("f.toml", []byte(text))
		if problem := name != "lines" && name != "comments"; (err != nil) != problem {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && !strings.Contains(err.Error(), " more") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, text := range map[string]string{
		"array":         "[flow]\nextra_fields=[" + strings.Repeat("'vlan',\n", maxFile/8) + "]",
		"nested arrays": "flow=" + strings.Repeat("[", maxFile/2),
		"nested tables": "flow=" + strings.Repeat("{flow=", maxFile/8),
		"long key":      strings.Repeat("a.", maxFile/2) + "a=1",
		"long text":     "flow='" + strings.Repeat("a", maxFile) + "'",
	} {
		err := Default().parse("f.toml", []byte(text))
		if (err == nil) != (name == "array") || err != nil && len(err.Error()) > 300 {
			t.Errorf("%s: %.300v", name, err)
		}
	}
}
