package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// maxSuggestions is how many near matches an error names.
const maxSuggestions = 3

// maxName is longer than any option's name; what is much longer is near none.
const maxName = 64

// suggest returns "; did you mean ...?" with the names that a person may have
// meant, the nearest first, or "" if none is near.
func suggest(name string, valid []string) string {
	type match struct {
		name     string
		distance int
	}
	var near []match
	if len(name) > 2*maxName {
		return ""
	}
	for _, v := range valid {
		// A third of the letters wrong is another word.
		if d := distance(strings.ToLower(name), v); d <= max(2, len(v)/3) {
			near = append(near, match{v, d})
		}
	}
	slices.SortStableFunc(near, func(a, b match) int { return cmp.Compare(a.distance, b.distance) })
	var names []string
	for _, m := range near[:min(len(near), maxSuggestions)] {
		if m.distance <= near[0].distance+2 { // the others are only long
			names = append(names, m.name)
		}
	}
	return didYouMean(names)
}

func didYouMean(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", strings.Join(names, " or "))
}

// distance is Levenshtein's: how many bytes must be inserted, removed or
// replaced.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
