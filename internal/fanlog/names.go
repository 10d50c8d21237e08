package fanlog

import (
	"slices"
	"strings"
)

// blockSize bounds a block of nameList. In one slice, a topic that appears would
// move half of all others: with a million of them that took 0.4 ms.
const blockSize = 512

// nameList is topics in the order of their names, in blocks.
type nameList struct {
	blocks [][]*held // none is empty
}

// search returns where a name is or belongs: a block, and a place in it, which
// may be one past its last.
func (n *nameList) search(name string) (block, at int, found bool) {
	block, found = slices.BinarySearchFunc(n.blocks, name, func(b []*held, name string) int {
		return strings.Compare(b[0].name, name)
	})
	switch {
	case found:
		return block, 0, true
	case block == 0:
		return 0, 0, false
	}
	block--
	at, found = slices.BinarySearchFunc(n.blocks[block], name, func(h *held, name string) int {
		return strings.Compare(h.name, name)
	})
	return block, at, found
}

// insert adds a topic that isn't there.
func (n *nameList) insert(h *held) {
	if len(n.blocks) == 0 {
		n.blocks = [][]*held{{h}}
		return
	}
	i, at, _ := n.search(h.name)
	b := slices.Insert(n.blocks[i], at, h)
	if len(b) <= blockSize {
		n.blocks[i] = b
		return
	}
	half := len(b) / 2
	n.blocks = slices.Insert(n.blocks, i+1, slices.Clone(b[half:]))
	clear(b[half:])
	n.blocks[i] = b[:half]
}

// matching returns the topics that begin with text.
func (n *nameList) matching(text string) (list []*held) {
	i, at, _ := n.search(text)
	for ; i < len(n.blocks); i, at = i+1, 0 {
		for _, h := range n.blocks[i][at:] {
			if !strings.HasPrefix(h.name, text) {
				return list
			}
			list = append(list, h)
		}
	}
	return list
}

// keep removes the topics that are not to stay.
func (n *nameList) keep(stays func(*held) bool) {
	for i, b := range n.blocks {
		n.blocks[i] = slices.DeleteFunc(b, func(h *held) bool { return !stays(h) })
	}
	n.blocks = slices.DeleteFunc(n.blocks, func(b []*held) bool { return len(b) == 0 })
}
