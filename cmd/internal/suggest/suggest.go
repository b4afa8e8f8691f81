// Package suggest finds the word that a mistyped one was meant to be.
//
//	"timout", ["timeout", "table"] -> "timeout"
package suggest

import "strings"

// Closest returns the one of words closest to a mistyped word, or "" if none is close: up to
// a third of its letters may differ.
func Closest(word string, words []string) string {
	const longest = 64 // no word of ours is longer
	best, least := "", max(1, min(len(word), longest)/3)+1
	if len(word) > longest {
		return ""
	}
	for _, w := range words {
		if d := distance(normal(word), normal(w)); d < least {
			best, least = w, d
		}
	}
	return best
}

// normal removes differences of case and between "-" and "_".
func normal(word string) string {
	return strings.ReplaceAll(strings.ToLower(word), "-", "_")
}

// distance returns how many letters to insert, remove, replace or swap with their neighbor
// to turn a into b.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			replace := last[j]
			if a[i] != b[j] {
				replace++
			}
			row[j+1] = min(replace, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
