package config

import (
	"os/user"
	"strconv"
	"strings"
)

// Users is a set of users of this host.
type Users struct {
	// IDs are their numbers.
	IDs []uint32
	// Everybody makes it the set of all.
	Everybody bool

	text string // what it was made of
}

// String returns the set as a file would have it.
func (u Users) String() string {
	if u.text != "" {
		return u.text
	}
	var items []string
	if u.Everybody {
		items = append(items, everybody)
	}
	for _, id := range u.IDs {
		items = append(items, strconv.FormatUint(uint64(id), 10))
	}
	return strings.Join(items, ",")
}

// everybody stands for every user, in a list of them.
const everybody = "*"

// usersType is a list of users, each by name or number. Names are looked up
// when they are read: one that nobody has is a mistake.
func usersType() valueType[Users] {
	list := listType("users of this host, by name or number, or *", func(s string) (string, bool) {
		if s == everybody {
			return s, true
		}
		_, ok := userID(s)
		return s, ok
	})
	return valueType[Users]{list.name, list.valid, func(s string) (Users, error) {
		names, err := list.parse(s)
		if err != nil {
			return Users{}, err
		}
		u := Users{text: list.format(names)}
		for _, name := range names {
			if name == everybody {
				u.Everybody = true
			} else if id, ok := userID(name); ok {
				u.IDs = append(u.IDs, id)
			}
		}
		return u, nil
	}, Users.String}
}

// userID returns the number of a user that is given by name or number. A number
// need not be anybody's: in a container few are.
func userID(s string) (uint32, bool) {
	if id, err := strconv.ParseUint(s, 10, 32); err == nil {
		return uint32(id), id != 1<<32-1 // which means nobody at all
	}
	u, err := user.Lookup(s)
	if err != nil {
		return 0, false
	}
	id, err := strconv.ParseUint(u.Uid, 10, 32)
	return uint32(id), err == nil
}
