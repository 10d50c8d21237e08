package zmq

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/plant"
	"github.com/wyvern-pubsub/wyvern/internal/zmtp"
)

// Properties of READY by which our own peers know one another. Others ignore
// them.
const (
	// propertyPeer says that the peer is one of ours, and which version of
	// these extensions it speaks: its subscriptions are exact names.
	propertyPeer = "X-Wyvern"
	// propertyID and propertyEpoch name the publisher and its incarnation.
	propertyID    = "X-Wyvern-Id"
	propertyEpoch = "X-Wyvern-Epoch"

	// propertyNeeds lists features, with commas, without which the peer is not
	// understood. There are none so far.
	propertyNeeds = "X-Wyvern-Needs"

	peerVersion = "2"
	// versionResume is the first version with marks and resume.
	versionResume = 2
)

// ours are the properties that this process sends.
func ours(cfg *driver.Config) zmtp.Metadata {
	m := zmtp.Metadata{{Name: propertyPeer, Value: peerVersion}}
	if cfg.ID != "" {
		m = append(m, zmtp.Property{Name: propertyID, Value: cfg.ID})
	}
	if cfg.Epoch != 0 && !plant.On(plant.EmptyEpoch) {
		m = append(m, zmtp.Property{Name: propertyEpoch, Value: fmt.Sprintf("%016x", cfg.Epoch)})
	}
	return m
}

// isOurs says whether a peer is one of ours.
func isOurs(p *zmtp.Peer) bool {
	_, ok := p.Properties.Get(propertyPeer)
	return ok
}

// version returns which version of the extensions a peer speaks; 0: none.
func version(p *zmtp.Peer) int {
	text, _ := p.Properties.Get(propertyPeer)
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// checkNeeds refuses a peer that can't be understood.
func checkNeeds(p *zmtp.Peer) error {
	needs, _ := p.Properties.Get(propertyNeeds)
	if needs == "" {
		return nil
	}
	return &zmtp.ProtocolError{Kind: zmtp.KindMetadata, Detail: fmt.Sprintf("the peer needs features that this version doesn't have: %.64q", needs)}
}

// errorText is what a peer that is refused is told.
func errorText(err error) string {
	var protocol *zmtp.ProtocolError
	if errors.As(err, &protocol) {
		return protocol.Detail
	}
	return err.Error()
}

// checkParams refuses options that this driver doesn't have: it has none
// besides those of driver.Config.
func checkParams(cfg *driver.Config) error {
	var unknown []string
	for name := range cfg.Params {
		unknown = append(unknown, name)
	}
	if unknown == nil {
		return nil
	}
	slices.Sort(unknown)
	return driver.WithHint(fmt.Errorf("unknown option %s", strings.Join(unknown, ", ")),
		"the zmq drivers have no options of their own")
}

// envelopeGrowth is how much larger than MaxPayload a message that is received
// may be: the sender's limit may be that of an event, to which numbers are
// added.
const envelopeGrowth = 64

const (
	// subscriberSilence is how many heartbeat timeouts a subscriber may be
	// silent. It may be busy rather than gone, it costs a cursor only, and its
	// own side notices a dead publisher in one.
	subscriberSilence = 5
	// unackedTimeout is how long data may go unacknowledged before the kernel
	// gives a connection up (TCP_USER_TIMEOUT): a host that is gone, or a peer
	// that doesn't read.
	unackedTimeout = 60 * time.Second
	// sendBuffer caps what the kernel holds for one subscriber: the backlog
	// stays in the log, where it is shared.
	sendBuffer = 512 << 10
)
