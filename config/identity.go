package config

import (
	"context"
	"net"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"
)

// lookupTimeout bounds the name look-up of PublisherID.
const lookupTimeout = 2 * time.Second

// PublisherID returns the publisher's stable identity: [wyvern] publisher_id,
// or if that is empty, as Dragonflow makes its own, the version 5 UUID of
// "wyvern-publisher.<fqdn>" in the DNS namespace.
//
// Without publisher_id it may look up the host's name and block for up to two
// seconds. Where the answer is not dependable, the identity isn't either: call
// once, and set publisher_id.
func (c *Config) PublisherID() string {
	if c.Wyvern.PublisherID != "" {
		return c.Wyvern.PublisherID
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "localhost"
	}
	return publisherID(qualify(host, lookupCNAME))
}

// publisherID names the publisher of a host.
func publisherID(fqdn string) string {
	return uuid.NewSHA1(uuid.NameSpaceDNS, []byte("wyvern-publisher."+fqdn)).String()
}

// qualify returns host with its domain, or host where no domain is known. The
// canonical name counts only if it is host's own: a hosts file that makes the
// host an alias of localhost would give every such machine the same identity.
func qualify(host string, canonical func(string) string) string {
	host = strings.ToLower(host)
	if strings.Contains(host, ".") {
		return host
	}
	name := strings.ToLower(strings.TrimSuffix(canonical(host), "."))
	if strings.HasPrefix(name, host+".") {
		return name
	}
	return host
}

func lookupCNAME(host string) string {
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	name, err := net.DefaultResolver.LookupCNAME(ctx, host)
	if err != nil {
		return ""
	}
	return name
}
